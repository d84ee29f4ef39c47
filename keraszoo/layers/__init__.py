from keraszoo.layers.dropout import Dropout as Dropout
from keraszoo.layers.local_response_normalization import (
    LocalResponseNormalization as LocalResponseNormalization,
)
from keraszoo.layers.losses import PerceptronLoss as PerceptronLoss
from keraszoo.layers.normalization import BatchNormalization as BatchNormalization
from keraszoo.layers.preprocessing import preprocessing as preprocessing

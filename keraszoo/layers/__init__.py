from keraszoo.layers.augmentation import PaddedRandomCrop as PaddedRandomCrop
from keraszoo.layers.augmentation import PCAColorShift as PCAColorShift
from keraszoo.layers.augmentation import RandomAffine as RandomAffine
from keraszoo.layers.augmentation import TenCrop as TenCrop
from keraszoo.layers.augmentation import color_covariance as color_covariance
from keraszoo.layers.coding import BernoulliLoss as BernoulliLoss
from keraszoo.layers.coding import Corruption as Corruption
from keraszoo.layers.contrast import GlobalContrastNormalization as GlobalContrastNormalization
from keraszoo.layers.contrast import LocalContrastNormalization as LocalContrastNormalization
from keraszoo.layers.convolution import AveragePooling2D as AveragePooling2D
from keraszoo.layers.convolution import Conv2D as Conv2D
from keraszoo.layers.convolution import Conv2DTranspose as Conv2DTranspose
from keraszoo.layers.convolution import MaxPooling2D as MaxPooling2D
from keraszoo.layers.dense import Dense as Dense
from keraszoo.layers.dense import Flatten as Flatten
from keraszoo.layers.dropout import Dropout as Dropout
from keraszoo.layers.local_response_normalization import (
    LocalResponseNormalization as LocalResponseNormalization,
)
from keraszoo.layers.losses import CodeDistanceLoss as CodeDistanceLoss
from keraszoo.layers.losses import PerceptronLoss as PerceptronLoss
from keraszoo.layers.normalization import BatchNormalization as BatchNormalization
from keraszoo.layers.normalization import InstanceNormalization as InstanceNormalization
from keraszoo.layers.normalization import LayerNormalization as LayerNormalization
from keraszoo.layers.padding import ReflectionPadding2D as ReflectionPadding2D
from keraszoo.layers.patches import MaskTokens as MaskTokens
from keraszoo.layers.patches import PatchEmbedding as PatchEmbedding
from keraszoo.layers.preprocessing import preprocessing as preprocessing
from keraszoo.layers.segmentation import DiceCrossentropyLoss as DiceCrossentropyLoss
from keraszoo.layers.segmentation import DiceLoss as DiceLoss
from keraszoo.layers.segmentation import MeanDice as MeanDice
from keraszoo.layers.segmentation import MeanIoU as MeanIoU
from keraszoo.layers.transformer import MultiHeadAttention as MultiHeadAttention
from keraszoo.layers.transformer import TransformerBlock as TransformerBlock

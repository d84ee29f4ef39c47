"""What to watch and what to keep while fitting."""

from keraszoo.callbacks.balance import Balance, Losses
from keraszoo.callbacks.budget import Budget
from keraszoo.callbacks.filled import Filled
from keraszoo.callbacks.history import Curves, History
from keraszoo.callbacks.masked import MaskedReconstructions
from keraszoo.callbacks.neighbours import Neighbours
from keraszoo.callbacks.overlays import Overlays
from keraszoo.callbacks.reconstructions import Reconstructions
from keraszoo.callbacks.run import RunFolder
from keraszoo.callbacks.samples import Samples, Scatter
from keraszoo.callbacks.texts import TextTranslations
from keraszoo.callbacks.translations import Translations
from keraszoo.callbacks.variety import Variety
from keraszoo.callbacks.views import RenderedViews
from keraszoo.callbacks.written import Written

__all__ = [
    "Balance",
    "Budget",
    "Curves",
    "Filled",
    "History",
    "Losses",
    "MaskedReconstructions",
    "Neighbours",
    "Reconstructions",
    "Overlays",
    "RenderedViews",
    "RunFolder",
    "Samples",
    "Scatter",
    "TextTranslations",
    "Translations",
    "Variety",
    "Written",
]

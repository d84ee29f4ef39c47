"""From text to numbers and back: vocabularies and sub-words, categories, padding and windows, and generation.

Nothing here imports a backend (generation works by keras.ops), and no text enters a graph: models take token numbers.
"""

from keraszoo.text.categories import Categories as Categories
from keraszoo.text.checkpoints import from_checkpoint as from_checkpoint
from keraszoo.text.files import read as read
from keraszoo.text.generation import generate as generate
from keraszoo.text.sequences import padded as padded
from keraszoo.text.sequences import windows as windows
from keraszoo.text.tokenizer import Tokenizer as Tokenizer
from keraszoo.text.trees import Tree as Tree
from keraszoo.text.trees import flatten as flatten

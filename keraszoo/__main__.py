"""`python -m keraszoo`: the command line."""

from keraszoo.cli import main

main(prog_name="keraszoo")

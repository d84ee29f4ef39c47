"""`keraszoo predict`: what a saved classifier says of images."""

import json
import sys
from pathlib import Path

import click

from keraszoo.cli.common import backend_option, use_backend


@click.command()
@click.argument("model", metavar="FILE.keras", type=click.Path(exists=True, dir_okay=False))
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="Classes shown, at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
@backend_option
def predict(model, inputs, top, as_json, backend):
    """Name what is in images, with the classifier saved in FILE.keras.

    An INPUT is an image, a folder of images, or a .npy array of inputs as the model takes them.
    Files that cannot be read are named, the others still answered; the exit status is then 1.
    """
    use_backend(backend)
    from keraszoo.cli.classifier import Classifier

    classifier = Classifier(model)
    answers = []
    for name, probabilities in classifier.answers(inputs):
        pairs = zip(classifier.class_names, map(float, probabilities), strict=True)
        ranked = sorted(pairs, key=lambda pair: -pair[1])[:top]
        if as_json:
            classes = [{"name": label, "probability": share} for label, share in ranked]
            answers.append({"input": name, "classes": classes})
        else:
            click.echo("\n".join([name, *(f"  {share:7.2%}  {label}" for label, share in ranked)]))
    if as_json:
        click.echo(json.dumps(answers, indent=1))
    sys.exit(int(classifier.failed))

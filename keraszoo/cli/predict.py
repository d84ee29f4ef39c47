"""`keraszoo predict`: what a saved model says of images or texts."""

import json
import sys

import click

from keraszoo.cli.common import backend_option, use_backend


@click.command()
@click.argument("model", metavar="FILE.keras", type=click.Path(exists=True, dir_okay=False))
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "--top", type=click.IntRange(1), default=5, show_default=True, help="Classes or words shown, at most."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
@backend_option
def predict(model, inputs, top, as_json, backend):
    """Say what the model saved in FILE.keras makes of images or texts.

    For a classifier of images, an INPUT is an image, a folder of images, or a .npy array of inputs as the model takes
    them. For a model that reads, it is a text, or a file with a text in each line: the answer is its class, the tag of
    each of its words, its translation, how it goes on, or what belongs where it says [MASK]; of a word, the words that
    mean the like. A model that was
    built with num_values answers with numbers.
    Files that cannot be read are named, the others still answered; the exit status is then 1.
    """
    use_backend(backend)
    from keraszoo import front

    loaded = front.load(model)
    if getattr(loaded, "tokenizers", ()):
        found, failed = of_texts(loaded, inputs, top), False
    else:
        found, failed = of_images(loaded, model, inputs, top)
    if as_json:
        click.echo(json.dumps([answer for answer, _ in found], indent=1))
    else:
        for _, lines in found:
            click.echo("\n".join(lines))
    sys.exit(int(failed))


def of_images(model, path, inputs, top):
    """Answers as data and as lines, and whether a file could not be read."""
    from keraszoo.cli.classifier import Classifier

    classifier = Classifier(model, path)
    names = classifier.class_names
    found = [
        classes(name, said, names, top) if names else values(name, said)
        for name, said in classifier.answers(inputs)
    ]
    return found, classifier.failed


def of_texts(model, inputs, top):
    """Answers as data and as lines."""
    from keraszoo.cli.texts import CLASSES, STEPS, TAGS, VALUES, WORDS, Reader

    reader = Reader(model)
    found = []
    for text, kind, answer in reader.answers(inputs, top):
        if kind == CLASSES:
            found.append(classes(text, answer, reader.class_names, top))
        elif kind == VALUES:
            found.append(values(text, answer))
        elif kind == WORDS:
            words = [{"word": word, "cosine": cosine} for word, cosine in answer]
            lines = [f"  {cosine:5.2f}  {word}" for word, cosine in answer]
            found.append(({"input": text, "words": words}, [text, *lines]))
        elif kind == TAGS:
            tags = [
                {
                    "token": token,
                    "tag": reader.class_names[int(shares.argmax())],
                    "probability": float(shares.max()),
                }
                for token, shares in answer
            ]
            wide = max(len(tag["token"]) for tag in tags)
            lines = [f"  {tag['probability']:7.2%}  {tag['token']:<{wide}}  {tag['tag']}" for tag in tags]
            found.append(({"input": text, "tags": tags}, [text, *lines]))
        elif kind == STEPS:
            steps = [{"token": token, "values": list(map(float, numbers))} for token, numbers in answer]
            wide = max(len(step["token"]) for step in steps)
            lines = [f"  {step['token']:<{wide}}  {in_a_line(step['values'])}" for step in steps]
            found.append(({"input": text, "steps": steps}, [text, *lines]))
        else:
            found.append(({"input": text, "text": answer}, [text, f"  {answer}"]))
    return found


def classes(name, probabilities, class_names, top):
    """The likeliest classes of an input, as data and as lines."""
    pairs = zip(class_names, map(float, probabilities), strict=True)
    ranked = sorted(pairs, key=lambda pair: -pair[1])[:top]
    data = {"input": name, "classes": [{"name": label, "probability": share} for label, share in ranked]}
    return data, [name, *(f"  {share:7.2%}  {label}" for label, share in ranked)]


def values(name, numbers):
    """The numbers that an input is answered with, as data and as lines."""
    numbers = list(map(float, numbers))
    return {"input": name, "values": numbers}, [name, f"  {in_a_line(numbers)}"]


def in_a_line(numbers):
    return " ".join(f"{number:.6g}" for number in numbers)

"""What a language model writes, epoch by epoch."""

from keraszoo.callbacks.told import Told


class Written(Told):
    """Prints how the model goes on with a text, and keeps what it wrote after each epoch in a file.

    Args:
        file: The file; see `Told`.
        prompts: What to go on with: a string, or a list of strings.
        length: Tokens to write, at most.
        every, show: As of `Told`.
        seed: Of what is drawn, the same after each epoch; None draws anew each time.
        **drawing: Further arguments of `generate`, such as `temperature=0.8`.

    Raises:
        ValueError: `every` is below 1, or the model writes no text.
    """

    method = "generate"

    def __init__(self, file, prompts, length=200, every=1, show=print, seed=0, **drawing):
        super().__init__(every, file, show)
        self.prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        self.drawing = dict(length=length, seed=seed, **drawing)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        if not self.model.tokenizer:
            raise ValueError(
                f"Written needs a model that was built with a vocabulary; {self.model.name} has none."
            )

    def lines(self):
        texts = self.model.generate(self.prompts, **self.drawing)
        return [prompt + text for prompt, text in zip(self.prompts, texts, strict=True)]

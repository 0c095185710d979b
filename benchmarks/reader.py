"""A local model that answers questions from the texts given before them."""

from __future__ import annotations

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from attnmass.loading.parts import in_one_folder
from attnmass.loading.sources import locate

LONGEST = 24  # tokens of an answer
TASK = "Answer the question in a few words, from the text above.\nQuestion: "
ALONE = "Answer the question in a few words.\nQuestion: "


class Reader:
    """A model that answers in one line, greedily."""

    def __init__(self, name: str, *, int8: bool = False) -> None:
        """Load a model by a name that `attnmass.loading` knows.

        Args:
            name: An alias, a folder or a file.
            int8: Read in int8, by FBGEMM.
        """
        source = locate(name)
        with TemporaryDirectory() as folder, in_one_folder(source, Path(folder)) as path:
            files = {} if source.gguf is None else {"gguf_file": source.gguf}
            self.tokenizer: Any = AutoTokenizer.from_pretrained(path, **files)
            made: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, **files)
        self._model = made.eval()
        if int8:
            _quantize(self._model)

    def __call__(self, query: str, context: str) -> tuple[str, int]:
        """An answer, and how many tokens were read for it."""
        ids = self._prompt(query, context)
        with torch.inference_mode():
            found = self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=LONGEST,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                repetition_penalty=None,
                stop_strings=["\n"],
                tokenizer=self.tokenizer,
            )
        said = self.tokenizer.decode(found[0, ids.shape[1] :], skip_special_tokens=True)
        return said.strip().partition("\n")[0], ids.shape[1]

    def _prompt(self, query: str, context: str) -> torch.Tensor:
        """The tokens of what is asked, `[1, token]`; as a chat if the model has a template."""
        before = f"{context}\n\n" if context else ""
        if self.tokenizer.chat_template is None:
            return self._ids(f"{before}Question: {query}\nAnswer:")
        task = TASK if context else ALONE
        prompt = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": f"{before}{task}{query}"}],
            add_generation_prompt=True,
            tokenize=False,
        )
        return self._ids(prompt, add_special_tokens=False)

    def _ids(self, text: str, **options: bool) -> torch.Tensor:
        return torch.tensor([self.tokenizer(text, **options)["input_ids"]])


class Int8Linear(nn.Module):
    """A linear layer that multiplies as LLM.int8() without outliers: vector-wise absmax scales.

    Weights have a scale for each output, activations one for each token (Dettmers et al.,
    arXiv 2208.07339, section 2.1, "vector-wise"). FBGEMM does the multiplying, with activations of
    seven bits, so that no sum of two products exceeds what AVX2 holds.
    """

    def __init__(self, linear: nn.Linear) -> None:
        """Quantize the weight of a layer in float32."""
        super().__init__()
        weight = linear.weight.detach()
        scale = weight.abs().amax(1).double() / 127
        zeros = torch.zeros_like(scale, dtype=torch.long)
        with warnings.catch_warnings():
            # Such tensors will be removed, but `torch._int_mm` is 40 times slower here without
            # VNNI.
            warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
            quantized = torch.quantize_per_channel(weight, scale, zeros, 0, torch.qint8)
        self._weight = torch.ops.quantized.linear_prepack(quantized, None)
        self._bias = linear.bias

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """The product with `[..., input]`, in float32."""
        scale = states.abs().amax(-1, keepdim=True).clamp_min(1e-8)
        # Rows in [-1, 1]: the one scale that FBGEMM uses for all of them is then each row's own.
        made: torch.Tensor = torch.ops.quantized.linear_dynamic(
            states / scale, self._weight, reduce_range=True
        )
        made.mul_(scale)
        return made if self._bias is None else made.add_(self._bias)


def _quantize(model: nn.Module) -> None:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, Int8Linear(child))

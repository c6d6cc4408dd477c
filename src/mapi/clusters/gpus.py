"""What GPUs are called: by the name of the product, the same for every kind of cluster."""

from __future__ import annotations

import re

_VENDOR_WORDS = frozenset(
    {"nvidia", "tesla", "geforce", "quadro", "rtx", "gtx", "titan", "pro", "amd", "instinct", "radeon"}
)
_QUALIFIERS = frozenset({"ti", "super", "ada", "blackwell"})


def gpu_type_of(product: str) -> str:
    """Name a GPU the way run configurations do.

    >>> gpu_type_of("NVIDIA A100-SXM4-80GB")
    'a100_80gb'
    """
    words = [word for word in re.split(r"[\s\-]+", product.lower()) if word]
    model = next((word for word in words if word not in _VENDOR_WORDS), "gpu")
    memory = re.search(r"(\d+)\s*gb\b", product.lower())
    parts = [model, *(word for word in words if word in _QUALIFIERS), *([f"{memory[1]}gb"] if memory else [])]
    return "_".join(parts)

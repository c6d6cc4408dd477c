"""The GPU types the public API has names for; any other name works as text."""

from __future__ import annotations

from enum import Enum


class GPUType(Enum):
    """A type of GPU, for filters and configurations."""

    NONE = "None"
    A100_80GB = "a100_80gb"
    A100_40GB = "a100_40gb"
    V100_32GB = "v100_32gb"
    V100_16GB = "v100_16gb"
    T4 = "t4"
    K80 = "k80"
    RTX3080 = "3080"
    RTX3090 = "3090"
    TPUv2 = "tpuv2"
    TPUv3 = "tpuv3"

    def __str__(self) -> str:
        return self.value

"""Log files: one of raw bytes per run, resumption and rank, watched while they grow."""

from mapi.logs.chunks import CHUNK_SIZE, Chunk
from mapi.logs.store import LogStore

__all__ = ["CHUNK_SIZE", "Chunk", "LogStore"]

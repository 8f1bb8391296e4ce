"""NumPy arrays that belong to a model's structure."""

from typing import Any

import numpy as np


class HostArray:
  """A constant that Python code may look into while the model is traced, as one that Linen's `setup` makes.

  NNX takes a NumPy array in an attribute for state, which a transform traces; this it takes for structure.
  """

  def __init__(self, value: Any):
    self.value = np.array(value)
    self.value.setflags(write=False)

  def __getitem__(self, index: Any) -> Any:
    return self.value[index]

  def __len__(self) -> int:
    return len(self.value)

  def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    return np.array(self.value, dtype) if copy or dtype is not None else self.value

  def __eq__(self, other: object) -> bool:
    return (
      isinstance(other, HostArray)
      and self.value.dtype == other.value.dtype
      and self.value.shape == other.value.shape
      and self.value.tobytes() == other.value.tobytes()
    )

  def __hash__(self) -> int:
    return hash((self.value.shape, self.value.tobytes()))

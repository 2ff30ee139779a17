"""Writes tensors.safetensors with Hugging Face's own package, for the reader's test.

pip install safetensors==0.8.0 numpy torch && python make.py
"""

import numpy as np
import torch
from safetensors.torch import save_file

arrays = {
    "weights": np.arange(12, dtype=np.float32).reshape(3, 4) / 8 - 0.5,
    "précis": np.array([np.pi, -np.e, 1e-300], dtype=np.float64),
    "ids": np.array([[-(2**31), 2**31 - 1], [0, 7]], dtype=np.int32),
    "mask": np.array([True, False, True]),
    "scalar": np.array(2.5, dtype=np.float32),
    "empty": np.zeros((0, 5), dtype=np.float32),
}
tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
values = torch.tensor([1.0, -1 / 3, 65504.0, 1e-7, float("inf")])
tensors["float16"] = values.to(torch.float16)
tensors["bfloat16"] = values.to(torch.bfloat16)
save_file(tensors, "tensors.safetensors", metadata={"made by": "safetensors 0.8.0", "note": "äß"})

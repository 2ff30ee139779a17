"""Writes tensors.safetensors with Hugging Face's own package, for the reader's test.

pip install safetensors==0.8.0 numpy && python make.py
"""

import numpy as np
from safetensors.numpy import save_file

rng = np.random.default_rng(1)
save_file(
    {
        "weights": np.arange(12, dtype=np.float32).reshape(3, 4) / 8 - 0.5,
        "précis": np.array([np.pi, -np.e, 1e-300], dtype=np.float64),
        "ids": np.array([[-(2**31), 2**31 - 1], [0, 7]], dtype=np.int32),
        "mask": np.array([True, False, True]),
        "scalar": np.array(2.5, dtype=np.float32),
        "empty": np.zeros((0, 5), dtype=np.float32),
    },
    "tensors.safetensors",
    metadata={"made by": "safetensors 0.8.0", "note": "äß"},
)

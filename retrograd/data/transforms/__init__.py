"""Changes of images, under the names of torchvision.transforms, over whole batches at once.

Every transform takes float images (…, C, H, W): one image (C, H, W) or a batch (N, C, H, W), on any device. Random
ones draw for every image of a batch separately, from the stream of `generator`, by default the default one.
"""

from retrograd.data.transforms.base import Compose, Transform
from retrograd.data.transforms.conversion import ConvertImageDtype, Normalize, ToTensor
from retrograd.data.transforms.crops import CenterCrop, Pad, RandomCrop
from retrograd.data.transforms.flips import RandomHorizontalFlip, RandomVerticalFlip
from retrograd.data.transforms.geometry import RandomAffine, RandomRotation
from retrograd.data.transforms.pixels import GaussianBlur, RandomErasing

__all__ = [
    "CenterCrop",
    "Compose",
    "ConvertImageDtype",
    "GaussianBlur",
    "Normalize",
    "Pad",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomVerticalFlip",
    "ToTensor",
    "Transform",
]

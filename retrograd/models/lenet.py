"""LeNet-5. LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition"."""

from __future__ import annotations

from retrograd import Tensor, nn

__all__ = ["LeNet", "lenet"]


class LeNet(nn.Module):
    """Two convolutions, each with a pool, and three linear layers: 61,706 parameters for ten classes.

    Shapes: input (N, in_channels, 28, 28), output (N, num_classes). As the paper's, but for ReLU and max pools, which
    train faster, and full connections from the first pool to the second convolution.
    """

    def __init__(self, in_channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, 5, padding=2)  # the paper pads its images to 32×32
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.conv1(x).relu())
        x = self.pool(self.conv2(x).relu())
        x = self.fc1(x.flatten(1)).relu()
        return self.fc3(self.fc2(x).relu())


def lenet(in_channels: int = 1, num_classes: int = 10) -> LeNet:
    """LeNet-5 for 28×28 images."""
    return LeNet(in_channels, num_classes)

"""VGG. Simonyan & Zisserman 2015, "Very deep convolutional networks for large-scale image recognition", table 1."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd import Tensor, nn

__all__ = ["VGG", "vgg11", "vgg13", "vgg16", "vgg19"]

DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""How many convolutions each of the five stages has: columns A, B, D and E of the table."""
WIDTHS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """3×3 convolutions in five stages, each ended by a max pool, and three linear layers.

    Shapes: input (N, in_channels, 224, 224) (32 pixels at least), output (N, num_classes). The state has torchvision's
    names, so published weights load. Initialised as He et al. 2015 (fan-out), biases 0.
    """

    def __init__(
        self,
        depth: int,
        batch_norm: bool = False,
        num_classes: int = 1000,
        dropout: float = 0.5,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if depth not in DEPTHS:
            raise ValueError(f"VGG: depth must be one of {', '.join(map(str, DEPTHS))}, got {depth}.")
        self.features = nn.Sequential(*stages(DEPTHS[depth], in_channels, batch_norm))
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all weights anew."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
            if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def stages(depths: tuple[int, ...], channels: int, batch_norm: bool) -> Iterator[nn.Module]:
    """The layers before the classifier."""
    for count, width in zip(depths, WIDTHS):
        for _ in range(count):
            yield nn.Conv2d(channels, width, 3, padding=1)
            if batch_norm:
                yield nn.BatchNorm2d(width)
            yield nn.ReLU(inplace=True)
            channels = width
        yield nn.MaxPool2d(2)


def vgg11(num_classes: int = 1000, batch_norm: bool = False, in_channels: int = 3) -> VGG:
    """Column A: 132,863,336 parameters."""
    return VGG(11, batch_norm, num_classes, in_channels=in_channels)


def vgg13(num_classes: int = 1000, batch_norm: bool = False, in_channels: int = 3) -> VGG:
    """Column B: 133,047,848 parameters."""
    return VGG(13, batch_norm, num_classes, in_channels=in_channels)


def vgg16(num_classes: int = 1000, batch_norm: bool = False, in_channels: int = 3) -> VGG:
    """Column D: 138,357,544 parameters."""
    return VGG(16, batch_norm, num_classes, in_channels=in_channels)


def vgg19(num_classes: int = 1000, batch_norm: bool = False, in_channels: int = 3) -> VGG:
    """Column E: 143,667,240 parameters."""
    return VGG(19, batch_norm, num_classes, in_channels=in_channels)

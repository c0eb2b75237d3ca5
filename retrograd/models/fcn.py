"""A fully convolutional network. Long, Shelhamer & Darrell 2015, on a ResNet as torchvision has it.

It has no linear layer, hence no fixed size: it labels every pixel of any image.
"""

from __future__ import annotations

from retrograd import Tensor, nn
from retrograd.models.resnet import Bottleneck, ResNet, resnet50

__all__ = ["FCN", "fcn_resnet50"]


class FCNHead(nn.Sequential):
    """A 3×3 convolution to a quarter of the channels, and a 1×1 to the classes."""

    def __init__(self, channels: int, num_classes: int) -> None:
        between = channels // 4
        super().__init__(
            nn.Conv2d(channels, between, 3, padding=1, bias=False),
            nn.BatchNorm2d(between),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(between, num_classes, 1),
        )


class Backbone(nn.Module):
    """A ResNet-50 up to its last stage, whose last two stages dilate instead of striding: features at an eighth."""

    def __init__(self, trunk: ResNet) -> None:
        super().__init__()
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            setattr(self, name, getattr(trunk, name))
        dilated(self.layer3, 1, 2)
        dilated(self.layer4, 2, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def dilated(stage: nn.Sequential, first: int, rest: int) -> None:
    """Takes the stride out of a stage of bottlenecks; its windows spread instead (Yu & Koltun 2016)."""
    for i, block in enumerate(stage):
        assert isinstance(block, Bottleneck)
        step = first if i == 0 else rest
        block.conv2.stride, block.conv2.dilation, block.conv2.padding = (1, 1), (step, step), (step, step)
        if block.downsample is not None:
            block.downsample[0].stride = (1, 1)


class FCN(nn.Module):
    """Features of a backbone, classes of each place by convolutions, and these enlarged to the image's size.

    Shapes: input (N, in_channels, H, W) of any size, output (N, num_classes, H, W). The state has torchvision's names
    (without its auxiliary classifier).
    """

    def __init__(self, backbone: nn.Module, channels: int, num_classes: int = 21) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = FCNHead(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        places = self.classifier(self.backbone(x))
        return nn.functional.interpolate(places, size=x.shape[-2:], mode="bilinear", align_corners=False)


def fcn_resnet50(num_classes: int = 21, in_channels: int = 3) -> FCN:
    """32,957,013 parameters for 21 classes."""
    return FCN(Backbone(resnet50(in_channels=in_channels)), 2048, num_classes)

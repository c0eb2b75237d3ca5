"""Residual networks. He, Zhang, Ren & Sun 2016, "Deep residual learning for image recognition".

A block computes x + F(x), so that its gradient is 1 + F′(x): however small F′ is, the signal gets through.
"""

from __future__ import annotations

from typing import ClassVar

from retrograd import Tensor, nn

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ResNet",
    "SmallResNet",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "small_resnet",
]


def shortcut(channels: int, width: int, stride: int) -> nn.Sequential | None:
    """What brings x to the shape of F(x); None where it has it already (option B of the paper, section 3.3)."""
    if stride == 1 and channels == width:
        return None
    return nn.Sequential(nn.Conv2d(channels, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))


class BasicBlock(nn.Module):
    """x + F(x) with two 3×3 convolutions (figure 5, left).

    Shapes: (N, channels, H, W) to (N, width, H/stride, W/stride).
    """

    EXPANSION: ClassVar[int] = 1

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(residual + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """x + F(x) with 1×1, 3×3 and 1×1 convolutions (figure 5, right); the stride is the 3×3's, as in torchvision.

    Shapes: (N, channels, H, W) to (N, 4·width, H/stride, W/stride).
    """

    EXPANSION: ClassVar[int] = 4

    def __init__(self, channels: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(channels, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.relu(self.bn1(self.conv1(x)))
        residual = self.relu(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        return self.relu(residual + (x if self.downsample is None else self.downsample(x)))


def stage(
    block: type[BasicBlock] | type[Bottleneck], count: int, channels: int, width: int, stride: int
) -> nn.Sequential:
    """`count` blocks, the first of which takes the stride."""
    wide = width * block.EXPANSION
    rest = (block(wide, width) for _ in range(count - 1))
    return nn.Sequential(block(channels, width, stride), *rest)


class ResNet(nn.Module):
    """A 7×7 convolution, a pool, four stages of blocks, a global average and a linear layer (table 1).

    Shapes: input (N, in_channels, 224, 224) (any size from 32), output (N, num_classes). The state has torchvision's
    names, so published weights load. Initialised as He et al. 2015 (fan-out).
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, int, int, int],
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        wide = block.EXPANSION
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(block, depths[0], 64, 64, 1)
        self.layer2 = stage(block, depths[1], 64 * wide, 128, 2)
        self.layer3 = stage(block, depths[2], 128 * wide, 256, 2)
        self.layer4 = stage(block, depths[3], 256 * wide, 512, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * wide, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def resnet18(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """11,689,512 parameters."""
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes, in_channels)


def resnet34(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """21,797,672 parameters."""
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes, in_channels)


def resnet50(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """25,557,032 parameters."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes, in_channels)


def resnet101(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """44,549,160 parameters."""
    return ResNet(Bottleneck, (3, 4, 23, 3), num_classes, in_channels)


def resnet152(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """60,192,808 parameters."""
    return ResNet(Bottleneck, (3, 8, 36, 3), num_classes, in_channels)


class SmallResNet(nn.Module):
    """The paper's network for small images (section 4.2): a 3×3 convolution and three stages of n basic blocks.

    Shapes: input (N, in_channels, H, W), output (N, num_classes). 6n + 2 layers with weights; ResNet-8 has n = 1.
    """

    def __init__(self, blocks: int = 1, width: int = 16, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = stage(BasicBlock, blocks, width, width, 1)
        self.layer2 = stage(BasicBlock, blocks, width, 2 * width, 2)
        self.layer3 = stage(BasicBlock, blocks, 2 * width, 4 * width, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


def small_resnet(num_classes: int = 10, in_channels: int = 3) -> SmallResNet:
    """ResNet-8: one block per stage, 16, 32 and 64 channels."""
    return SmallResNet(1, 16, num_classes, in_channels)

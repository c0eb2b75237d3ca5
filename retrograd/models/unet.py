"""U-Net. Ronneberger, Fischer & Brox 2015, "U-Net: convolutional networks for biomedical image segmentation"."""

from __future__ import annotations

from retrograd import Tensor, cat, nn

__all__ = ["UNet", "unet"]


class DoubleConv(nn.Sequential):
    """Two 3×3 convolutions that keep the size, each with batch norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    """Down to a coarse image and up again; on every level the way up also sees what the way down saw (figure 1).

    Shapes: input (N, in_channels, H, W) with H and W multiples of 2ᵈᵉᵖᵗʰ, output (N, num_classes, H, W). As the
    paper's, but for batch norm and padded convolutions, which keep the size. ValueError where halving fails.
    """

    def __init__(self, in_channels: int = 1, num_classes: int = 2, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.pool = nn.MaxPool2d(2)
        self.down = nn.ModuleList(DoubleConv(n, m) for n, m in zip([in_channels, *widths], widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * n, n, 2, stride=2) for n in widths[:-1])
        self.merge = nn.ModuleList(DoubleConv(2 * n, n) for n in widths[:-1])
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        depth = len(self.up)
        if any(n % 2**depth for n in x.shape[-2:]):
            raise ValueError(f"UNet: height and width must be multiples of {2**depth}, got {tuple(x.shape[-2:])}.")
        seen = []
        for level in range(depth):
            x = self.down[level](x)
            seen.append(x)
            x = self.pool(x)
        x = self.down[depth](x)
        for level in reversed(range(depth)):
            x = self.merge[level](cat([seen[level], self.up[level](x)], dim=1))
        return self.head(x)


def unet(in_channels: int = 1, num_classes: int = 2, width: int = 16, depth: int = 3) -> UNet:
    """A small U-Net: three halvings, 16 to 128 channels."""
    return UNet(in_channels, num_classes, width, depth)

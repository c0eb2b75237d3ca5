"""Programs that look at images."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


def images(n=4, channels=3, size=16, classes=5):
    return torch.randn(n, channels, size, size), torch.randint(0, classes, (n,))


def train(model, optimizer, x, y, log, steps=6):
    criterion = nn.CrossEntropyLoss()
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        logits = model(x)
        loss = criterion(logits, y)
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
        log("correct", (logits.argmax(1) == y).sum().item())
    model.eval()
    with torch.no_grad():
        log("logits", model(x))
    log("state", model.state_dict())


def lenet(log):
    class Net(nn.Module):
        def __init__(self):
            super(Net, self).__init__()
            self.conv1 = nn.Conv2d(1, 6, 3)
            self.conv2 = nn.Conv2d(6, 16, 3)
            self.fc1 = nn.Linear(16 * 6 * 6, 120)
            self.fc2 = nn.Linear(120, 84)
            self.fc3 = nn.Linear(84, 10)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
            x = F.max_pool2d(F.relu(self.conv2(x)), 2)
            x = x.view(-1, self.num_flat_features(x))
            x = F.relu(self.fc1(x))
            x = F.relu(self.fc2(x))
            return self.fc3(x)

        def num_flat_features(self, x):
            size = x.size()[1:]
            num_features = 1
            for s in size:
                num_features *= s
            return num_features

    net = Net()
    log("repr", str(net))
    log("sizes", [list(p.size()) for p in net.parameters()])
    log("first image", net(torch.randn(1, 1, 32, 32)))
    x, y = torch.randn(4, 1, 32, 32), torch.randint(10, (4,))
    train(net, optim.SGD(net.parameters(), lr=0.01, momentum=0.9), x, y, log)


def resnet_with_inplace_relu(log):
    def conv3x3(cin, cout, stride=1):
        return nn.Conv2d(cin, cout, kernel_size=3, stride=stride, padding=1, bias=False)

    class BasicBlock(nn.Module):
        expansion = 1

        def __init__(self, cin, cout, stride=1, downsample=None):
            super().__init__()
            self.conv1 = conv3x3(cin, cout, stride)
            self.bn1 = nn.BatchNorm2d(cout)
            self.relu = nn.ReLU(inplace=True)
            self.conv2 = conv3x3(cout, cout)
            self.bn2 = nn.BatchNorm2d(cout)
            self.downsample = downsample

        def forward(self, x):
            identity = x
            out = self.relu(self.bn1(self.conv1(x)))
            out = self.bn2(self.conv2(out))
            if self.downsample is not None:
                identity = self.downsample(x)
            out += identity
            return self.relu(out)

    class ResNet(nn.Module):
        def __init__(self, layers, num_classes=5):
            super().__init__()
            self.inplanes = 8
            self.stem = nn.Sequential(conv3x3(3, 8), nn.BatchNorm2d(8), nn.ReLU(True), nn.MaxPool2d(3, 2, 1))
            self.layer1 = self._make_layer(8, layers[0])
            self.layer2 = self._make_layer(16, layers[1], stride=2)
            self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
            self.fc = nn.Linear(16, num_classes)
            for m in self.modules():
                if isinstance(m, nn.Conv2d):
                    nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                    nn.init.constant_(m.weight, 1)
                    nn.init.constant_(m.bias, 0)
            for m in self.modules():
                if isinstance(m, BasicBlock):
                    nn.init.constant_(m.bn2.weight, 0)

        def _make_layer(self, planes, blocks, stride=1):
            downsample = None
            if stride != 1 or self.inplanes != planes:
                downsample = nn.Sequential(
                    nn.Conv2d(self.inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
                )
            layers = [BasicBlock(self.inplanes, planes, stride, downsample)]
            self.inplanes = planes
            layers += [BasicBlock(planes, planes) for _ in range(1, blocks)]
            return nn.Sequential(*layers)

        def forward(self, x):
            x = self.layer2(self.layer1(self.stem(x)))
            return self.fc(torch.flatten(self.avgpool(x), 1))

    model = ResNet([2, 1])
    log("repr", repr(model))
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    train(model, optimizer, *images(), log)


def unet(log):
    class DoubleConv(nn.Module):
        def __init__(self, cin, cout):
            super().__init__()
            self.double_conv = nn.Sequential(
                nn.Conv2d(cin, cout, 3, padding=1, bias=False),
                nn.BatchNorm2d(cout),
                nn.ReLU(inplace=True),
                nn.Conv2d(cout, cout, 3, padding="same"),
                nn.LeakyReLU(0.1, inplace=True),
            )

        def forward(self, x):
            return self.double_conv(x)

    class Up(nn.Module):
        def __init__(self, cin, cout, bilinear=True):
            super().__init__()
            if bilinear:
                self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
                self.conv = DoubleConv(cin + cout, cout)
            else:
                self.up = nn.ConvTranspose2d(cin, cin // 2, kernel_size=2, stride=2)
                self.conv = DoubleConv(cin // 2 + cout, cout)

        def forward(self, x1, x2):
            x1 = self.up(x1)
            dy = x2.size()[2] - x1.size()[2]
            dx = x2.size()[3] - x1.size()[3]
            x1 = F.pad(x1, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
            return self.conv(torch.cat([x2, x1], dim=1))

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.inc = DoubleConv(1, 4)
            self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(4, 8))
            self.down2 = nn.Sequential(nn.AvgPool2d(2), DoubleConv(8, 16))
            self.up1 = Up(16, 8)
            self.up2 = Up(8, 4, bilinear=False)
            self.outc = nn.Conv2d(4, 2, kernel_size=1)

        def forward(self, x):
            x1 = self.inc(x)
            x2 = self.down1(x1)
            x = self.up2(self.up1(self.down2(x2), x2), x1)
            half = F.interpolate(x, scale_factor=0.5, mode="nearest")
            return self.outc(x + F.interpolate(half, size=x.shape[2:], mode="bicubic", align_corners=False))

    model = UNet()
    optimizer = optim.RMSprop(model.parameters(), lr=1e-3, weight_decay=1e-8, momentum=0.9)
    x = torch.randn(2, 1, 13, 14)
    mask = (torch.rand(2, 13, 14) > 0.5).long()
    for _ in range(4):
        pred = model(x)
        probs = F.softmax(pred, dim=1)
        onehot = F.one_hot(mask, 2).permute(0, 3, 1, 2).float().type_as(probs)
        dice = 1 - (2 * (probs * onehot).sum((2, 3)) + 1) / ((probs + onehot).sum(dim=(2, 3)) + 1)
        loss = F.cross_entropy(pred, mask, weight=torch.tensor([0.3, 0.7])) + dice.mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 0.1)
        optimizer.step()
        log("loss", loss.item())
    log("state", model.state_dict())


def mobilenet_block_with_squeeze_and_excitation(log):
    class SEBlock(nn.Module):
        def __init__(self, channels, reduction=4):
            super().__init__()
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.fc = nn.Sequential(
                nn.Linear(channels, channels // reduction, bias=False),
                nn.ReLU(inplace=True),
                nn.Linear(channels // reduction, channels, bias=False),
                nn.Sigmoid(),
            )

        def forward(self, x):
            b, c, _, _ = x.size()
            y = self.fc(self.pool(x).view(b, c)).view(b, c, 1, 1)
            return x * y.expand_as(x)

    class InvertedResidual(nn.Module):
        def __init__(self, inp, oup, stride, expand_ratio):
            super().__init__()
            hidden = int(round(inp * expand_ratio))
            self.use_res_connect = stride == 1 and inp == oup
            self.conv = nn.Sequential(
                nn.Conv2d(inp, hidden, 1, bias=False),
                nn.BatchNorm2d(hidden, momentum=0.01, eps=1e-3),
                nn.ReLU6(inplace=True),
                nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
                nn.BatchNorm2d(hidden),
                nn.Hardswish(inplace=True),
                SEBlock(hidden),
                nn.Conv2d(hidden, oup, 1, groups=2, bias=False),
                nn.GroupNorm(2, oup),
            )

        def forward(self, x):
            return x + self.conv(x) if self.use_res_connect else self.conv(x)

    model = nn.Sequential(
        InvertedResidual(4, 4, 1, 2), InvertedResidual(4, 8, 2, 3), nn.Flatten(), nn.Dropout(0.2), nn.Linear(512, 5)
    )
    train(model, optim.AdamW(model.parameters(), lr=1e-2, eps=1e-4), *images(channels=4), log)


def densenet_block(log):
    class DenseLayer(nn.Sequential):
        def __init__(self, cin, growth, drop_rate):
            super().__init__()
            self.add_module("norm1", nn.BatchNorm2d(cin))
            self.add_module("relu1", nn.ReLU(inplace=True))
            self.add_module("conv1", nn.Conv2d(cin, growth, 3, padding=1, bias=False))
            self.drop_rate = drop_rate

        def forward(self, x):
            new = super().forward(x)
            new = F.dropout(new, p=self.drop_rate, training=self.training)
            return torch.cat([x, new], 1)

    class DenseBlock(nn.ModuleDict):
        def __init__(self, n, cin, growth):
            super().__init__()
            for i in range(n):
                self.add_module("denselayer%d" % (i + 1), DenseLayer(cin + i * growth, growth, 0.1))

        def forward(self, x):
            for _, layer in self.items():
                x = layer(x)
            return x

    model = nn.Sequential()
    model.add_module("conv0", nn.Conv2d(3, 4, 3, stride=2, padding=1))
    model.add_module("block", DenseBlock(3, 4, 2))
    model.add_module("pool", nn.AdaptiveMaxPool2d(2))
    model.add_module("flatten", nn.Flatten())
    model.add_module("classifier", nn.Linear(40, 5))
    log("repr", repr(model))
    log("names", [name for name, _ in model.named_modules()])
    train(model, optim.Adam(model.parameters(), lr=0.01, amsgrad=True), *images(), log)


def spatial_transformer(log):
    class STN(nn.Module):
        def __init__(self):
            super().__init__()
            self.localization = nn.Sequential(
                nn.Conv2d(1, 4, kernel_size=5), nn.MaxPool2d(2, stride=2), nn.ReLU(True), nn.Flatten()
            )
            self.fc_loc = nn.Sequential(nn.Linear(4 * 6 * 6, 8), nn.ReLU(True), nn.Linear(8, 3 * 2))
            self.fc_loc[2].weight.data.zero_()
            self.fc_loc[2].bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))
            self.conv = nn.Conv2d(1, 4, 5, bias=True)
            self.drop = nn.Dropout2d()
            self.fc = nn.Linear(4 * 6 * 6, 5)

        def stn(self, x):
            theta = self.fc_loc(self.localization(x)).view(-1, 2, 3)
            grid = F.affine_grid(theta, x.size(), align_corners=False)
            return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)

        def forward(self, x):
            x = F.relu(F.max_pool2d(self.drop(self.conv(self.stn(x))), 2))
            return F.log_softmax(self.fc(x.flatten(start_dim=1)), dim=-1)

    model = STN()
    x, y = images(channels=1)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    for _ in range(6):
        optimizer.zero_grad()
        loss = F.nll_loss(model(x), y)
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    with torch.no_grad():
        log("transformed", model.eval().stn(x))
    log("state", model.state_dict())


def super_resolution_with_pixel_shuffle(log):
    class ESPCN(nn.Module):
        def __init__(self, upscale):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 8, (5, 5), (1, 1), (2, 2), padding_mode="reflect")
            self.conv2 = nn.Conv2d(8, upscale**2, (3, 3), (1, 1), (1, 1), padding_mode="replicate")
            self.pixel_shuffle = nn.PixelShuffle(upscale)
            nn.init.orthogonal_(self.conv1.weight, nn.init.calculate_gain("tanh"))

        def forward(self, x):
            return self.pixel_shuffle(self.conv2(torch.tanh(self.conv1(x))))

    model = ESPCN(3)
    hr = torch.rand(2, 1, 18, 18)
    lr = F.interpolate(hr, scale_factor=1 / 3, mode="area")
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    mse, l1 = nn.MSELoss(), nn.SmoothL1Loss(beta=0.5)
    for _ in range(6):
        sr = model(lr)
        loss = mse(sr, hr) + 0.1 * l1(F.pixel_unshuffle(sr, 3), F.pixel_unshuffle(hr, 3))
        tv = (sr[:, :, 1:] - sr[:, :, :-1]).abs().mean() + (sr[..., 1:] - sr[..., :-1]).pow(2).mean()
        optimizer.zero_grad()
        (loss + 0.01 * tv).backward()
        optimizer.step()
        log("psnr", -10 * torch.log10(mse(sr.detach().clamp(0, 1), hr)).item())
    log("state", model.state_dict())


def vision_transformer(log):
    class ViT(nn.Module):
        def __init__(self, size=16, patch=4, dim=16, depth=2, heads=4, classes=5):
            super().__init__()
            self.patch = patch
            self.embed = nn.Linear(3 * patch * patch, dim)
            self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
            self.pos_embed = nn.Parameter(torch.empty(1, (size // patch) ** 2 + 1, dim))
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
            layer = nn.TransformerEncoderLayer(
                dim, heads, 2 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            self.blocks = nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
            self.head = nn.Linear(dim, classes)

        def forward(self, x):
            n = x.shape[0]
            patches = F.unfold(x, self.patch, stride=self.patch).transpose(1, 2)
            x = torch.cat((self.cls_token.expand(n, -1, -1), self.embed(patches)), dim=1) + self.pos_embed
            return self.head(self.blocks(x)[:, 0])

    model = ViT()
    decay = [p for p in model.parameters() if p.dim() >= 2]
    rest = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}]
    train(model, optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95), eps=1e-4), *images(), log)


def convolution_by_unfold_and_by_as_strided_windows(log):
    x = torch.randn(2, 3, 9, 10, requires_grad=True)
    conv = nn.Conv2d(3, 4, (3, 5), bias=False)
    columns = F.unfold(x, (3, 5))
    out = F.fold(conv.weight.view(4, -1) @ columns, (7, 6), 1)
    log("same", torch.allclose(out, conv(x), atol=1e-4))
    windows = F.pad(x, (2, 2, 1, 1), mode="circular").unfold(2, 3, 2).unfold(3, 5, 1)
    log("windows", windows.shape == (2, 3, 5, 10, 3, 5))
    pooled = windows.contiguous().view(*windows.size()[:4], -1).max(dim=-1)[0]
    loss = (pooled.mean() + out.pow(2).mean()) * 2
    loss.backward()
    log("loss", loss.item())
    log("gradients", [x.grad, conv.weight.grad])


def video_and_volume_network(log):
    model = nn.Sequential(
        nn.Conv3d(1, 4, kernel_size=(1, 3, 3), padding=(0, 1, 1), stride=(1, 2, 2), bias=False),
        nn.InstanceNorm3d(4, affine=True, track_running_stats=True),
        nn.PReLU(4),
        nn.MaxPool3d(2),
        nn.ConvTranspose3d(4, 2, 2, stride=2, output_padding=1, dilation=2),
        nn.CELU(inplace=True),
        nn.AdaptiveAvgPool3d((1, None, 2)),
        nn.Flatten(1),
        nn.LazyLinear(5),
    )
    x = torch.randn(2, 1, 4, 8, 8)
    model(x)
    log("repr", repr(model))
    train(model, optim.NAdam(model.parameters(), lr=1e-2), x, torch.tensor([1, 4]), log)


def yolo_like_detection_loss(log):
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 2 * 7, 3, 2, 1))
    optimizer = optim.SGD(backbone.parameters(), lr=0.01, momentum=0.9)
    anchors = torch.tensor([[1.0, 2.0], [2.5, 1.5]])
    x = torch.rand(2, 3, 16, 16)
    target = torch.zeros(2, 2, 4, 4, 7)
    for b, a, i, j in [(0, 0, 1, 2), (0, 1, 3, 3), (1, 1, 0, 0)]:
        target[b, a, i, j, :4] = torch.rand(4)
        target[b, a, i, j, 4] = 1
        target[b, a, i, j, 5 + (i + j) % 2] = 1
    obj = target[..., 4] == 1
    for _ in range(5):
        out = backbone(x)
        b, _, h, w = out.shape
        out = out.view(b, 2, 7, h, w).permute(0, 1, 3, 4, 2).contiguous()
        yv, xv = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        grid = torch.stack((xv, yv), 2).view(1, 1, h, w, 2).type(out.dtype)
        pred = out.clone()
        pred[..., 0:2] = (out[..., 0:2].sigmoid() + grid) / w
        pred[..., 2:4] = torch.exp(out[..., 2:4]) * anchors.view(1, 2, 1, 1, 2) / w
        box = F.mse_loss(pred[obj][:, :4], target[obj][..., :4], reduction="sum")
        objectness = F.binary_cross_entropy_with_logits(pred[..., 4], target[..., 4], reduction="none")
        cls = F.cross_entropy(pred[obj][:, 5:], target[obj][:, 5:].argmax(-1))
        loss = box + objectness[obj].sum() + 0.5 * objectness[~obj].mean() + cls
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    score, index = pred[..., 4].sigmoid().flatten(1).topk(3)
    log("best", [score, index, torch.nonzero(obj), torch.where(obj)])


def style_transfer_of_the_input(log):
    features = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 8, 3)).eval()
    for p in features.parameters():
        p.requires_grad_(False)

    def gram_matrix(t):
        a, b, c, d = t.size()
        flat = t.view(a * b, c * d)
        return torch.mm(flat, flat.t()).div(a * b * c * d)

    content, style = torch.rand(1, 3, 12, 12), torch.rand(1, 3, 12, 12)
    image = content.clone().requires_grad_(True)
    optimizer = optim.LBFGS([image], max_iter=4)
    target, wanted = features(content).detach(), gram_matrix(features(style))
    for _ in range(3):

        def closure():
            with torch.no_grad():
                image.clamp_(0, 1)
            optimizer.zero_grad()
            out = features(image)
            loss = 1e3 * F.mse_loss(gram_matrix(out), wanted) + F.mse_loss(out, target)
            loss.backward()
            return loss

        log("loss", optimizer.step(closure).item())
    log("image", image.detach())
    log("frozen", [p.grad is None for p in features.parameters()])


PROGRAMS = [
    lenet,
    resnet_with_inplace_relu,
    unet,
    mobilenet_block_with_squeeze_and_excitation,
    densenet_block,
    spatial_transformer,
    super_resolution_with_pixel_shuffle,
    vision_transformer,
    convolution_by_unfold_and_by_as_strided_windows,
    video_and_volume_network,
    yolo_like_detection_loss,
    style_transfer_of_the_input,
]

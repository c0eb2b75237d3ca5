"""Programs that make things: autoencoders, adversarial networks, flows, diffusion."""

import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim import Adam, AdamW, RMSprop


def variational_autoencoder(log):
    class VAE(nn.Module):
        def __init__(self):
            super(VAE, self).__init__()
            self.fc1 = nn.Linear(36, 20)
            self.fc21 = nn.Linear(20, 3)
            self.fc22 = nn.Linear(20, 3)
            self.fc3 = nn.Linear(3, 20)
            self.fc4 = nn.Linear(20, 36)

        def encode(self, x):
            h1 = F.relu(self.fc1(x))
            return self.fc21(h1), self.fc22(h1)

        def reparameterize(self, mu, logvar):
            std = torch.exp(0.5 * logvar)
            eps = torch.randn_like(std)
            return mu + eps * std

        def decode(self, z):
            return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

        def forward(self, x):
            mu, logvar = self.encode(x.view(-1, 36))
            return self.decode(self.reparameterize(mu, logvar)), mu, logvar

    model = VAE()
    optimizer = Adam(model.parameters(), lr=1e-2)
    x = torch.rand(8, 1, 6, 6)
    train_loss = 0
    for _ in range(6):
        optimizer.zero_grad()
        recon, mu, logvar = model(x)
        bce = F.binary_cross_entropy(recon, x.view(-1, 36), reduction="sum")
        kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        (bce + kld).backward()
        train_loss += (bce + kld).item()
        optimizer.step()
        log("loss", bce.item() + kld.item())
    log("mean", train_loss / len(x))
    with torch.no_grad():
        log("sample", model.decode(torch.randn(4, 3)).cpu().view(4, 1, 6, 6))
    log("state", model.state_dict())


def dcgan_with_two_optimizers(log):
    def weights_init(m):
        classname = m.__class__.__name__
        if classname.find("Conv") != -1:
            nn.init.normal_(m.weight.data, 0.0, 0.02)
        elif classname.find("BatchNorm") != -1:
            nn.init.normal_(m.weight.data, 1.0, 0.02)
            nn.init.constant_(m.bias.data, 0)

    generator = nn.Sequential(
        nn.ConvTranspose2d(5, 8, 4, 1, 0, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(True),
        nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, 6, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, inplace=True),
        nn.BatchNorm2d(6),
        nn.Conv2d(6, 1, 4, 1, 0, bias=False),
        nn.Sigmoid(),
    )
    generator.apply(weights_init)
    discriminator.apply(weights_init)
    criterion = nn.BCELoss()
    fixed_noise = torch.randn(2, 5, 1, 1)
    optimizer_d = Adam(discriminator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    optimizer_g = Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    for _ in range(5):
        discriminator.zero_grad()
        real = torch.rand(4, 1, 8, 8) * 2 - 1
        label = torch.full((4,), 1, dtype=real.dtype)
        output = discriminator(real).view(-1)
        err_real = criterion(output, label)
        err_real.backward()
        fake = generator(torch.randn(4, 5, 1, 1))
        label.fill_(0)
        output = discriminator(fake.detach()).view(-1)
        err_fake = criterion(output, label)
        err_fake.backward()
        log("loss of the discriminator", (err_real + err_fake).item())
        optimizer_d.step()
        generator.zero_grad()
        label.fill_(1)
        err_g = criterion(discriminator(fake).view(-1), label)
        err_g.backward()
        optimizer_g.step()
        log("loss of the generator", err_g.item())
    with torch.no_grad():
        log("images", generator(fixed_noise).detach().cpu())
    log("state", [generator.state_dict(), discriminator.state_dict()])


def wasserstein_gan_with_gradient_penalty(log):
    generator = nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 2))
    critic = nn.Sequential(nn.Linear(2, 12), nn.LeakyReLU(0.2), nn.LayerNorm(12), nn.Linear(12, 1))
    opt_g, opt_c = RMSprop(generator.parameters(), lr=5e-3), Adam(critic.parameters(), lr=5e-3, betas=(0.0, 0.9))

    def gradient_penalty(real, fake):
        alpha = torch.rand(real.size(0), 1).expand_as(real)
        mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        score = critic(mixed)
        grad = torch.autograd.grad(
            outputs=score, inputs=mixed, grad_outputs=torch.ones_like(score), create_graph=True, retain_graph=True
        )[0]
        return ((grad.view(grad.size(0), -1).norm(2, dim=1) - 1) ** 2).mean()

    for _ in range(3):
        for p in critic.parameters():
            p.requires_grad = True
        for _ in range(2):
            real = torch.randn(16, 2) + 2
            with torch.no_grad():
                fake = generator(torch.randn(16, 3))
            penalty = gradient_penalty(real, fake)
            loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
            opt_c.zero_grad()
            loss.backward()
            opt_c.step()
            log("critic", loss.item())
            log("penalty", penalty.item())
        for p in critic.parameters():
            p.requires_grad = False
        opt_g.zero_grad()
        loss = -critic(generator(torch.randn(16, 3))).mean()
        loss.backward()
        opt_g.step()
        log("generator", loss.item())
    log("state", [generator.state_dict(), critic.state_dict()])


def spectrally_normalized_critic(log):
    from torch.nn.utils import spectral_norm as old_spectral_norm
    from torch.nn.utils.parametrizations import orthogonal, spectral_norm

    critic = nn.Sequential(
        spectral_norm(nn.Conv2d(1, 4, 3)),
        nn.Softplus(),
        nn.Flatten(),
        old_spectral_norm(nn.Linear(64, 8)),
        nn.ELU(),
        orthogonal(nn.Linear(8, 8)),
        nn.Linear(8, 1),
    )
    log("names", [n for n, _ in critic.named_parameters()])
    optimizer = Adam(critic.parameters(), lr=1e-2, eps=1e-5)
    real, fake = torch.rand(4, 1, 6, 6), torch.randn(4, 1, 6, 6)
    for _ in range(4):
        loss = F.relu(1 - critic(real)).mean() + F.relu(1 + critic(fake)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    critic.eval()
    log("sigma", torch.linalg.matrix_norm(critic[0].weight.flatten(1), 2).item())
    log("state", critic.state_dict())


def denoising_diffusion(log):
    class Denoiser(nn.Module):
        def __init__(self, dim=8, steps=10):
            super().__init__()
            self.time = nn.Embedding(steps, dim)
            self.inp = nn.Linear(2, dim)
            self.blocks = nn.ModuleList(nn.Sequential(nn.SiLU(), nn.Linear(dim, dim)) for _ in range(2))
            self.out = nn.Linear(dim, 2)
            self.log_scale = nn.Parameter(torch.tensor(0.0))

        def forward(self, x, t):
            h = self.inp(x) + self.time(t)
            for block in self.blocks:
                h = h + block(h)
            return self.out(h) * self.log_scale.exp()

    T = 10
    betas = torch.linspace(1e-2, 0.2, T)
    alphas_bar = torch.cumprod(1 - betas, dim=0)
    model = Denoiser()
    ema = copy.deepcopy(model).requires_grad_(False)
    optimizer = AdamW(model.parameters(), lr=1e-2)
    data = torch.randn(32, 2) * torch.tensor([0.2, 1.0]) + 1
    for _ in range(6):
        t = torch.randint(0, T, (data.shape[0],))
        noise = torch.randn_like(data)
        a = alphas_bar[t][:, None]
        loss = F.mse_loss(model(a.sqrt() * data + (1 - a).sqrt() * noise, t), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for e, p in zip(ema.parameters(), model.parameters()):
                e.mul_(0.9).add_(p, alpha=0.1)
        log("loss", loss.item())

    @torch.no_grad()
    def sample(n):
        x = torch.randn(n, 2)
        for i in reversed(range(T)):
            t = torch.full((n,), i, dtype=torch.long)
            eps = ema(x, t)
            mean = (x - betas[i] / torch.sqrt(1 - alphas_bar[i]) * eps) / torch.sqrt(1 - betas[i])
            x = mean + (betas[i].sqrt() * torch.randn_like(x) if i > 0 else 0)
        return x

    log("sample", sample(5))
    log("state", [model.state_dict(), ema.state_dict()])


def normalizing_flow_of_coupling_layers(log):
    class Coupling(nn.Module):
        def __init__(self, mask):
            super().__init__()
            self.register_buffer("mask", mask)
            self.net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 4))

        def forward(self, x):
            s, t = self.net(x * self.mask).chunk(2, dim=-1)
            s = torch.tanh(s) * (1 - self.mask)
            return x * torch.exp(s) + t * (1 - self.mask), s.sum(-1)

        def inverse(self, y):
            s, t = self.net(y * self.mask).chunk(2, dim=-1)
            s = torch.tanh(s) * (1 - self.mask)
            return (y - t * (1 - self.mask)) * torch.exp(-s)

    masks = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])] * 2
    layers = nn.ModuleList([Coupling(m) for m in masks])
    optimizer = Adam(layers.parameters(), lr=1e-2)
    x = torch.randn(16, 2).cumsum(1)
    for _ in range(5):
        z, logdet = x, torch.zeros(len(x))
        for layer in layers:
            z, ld = layer(z)
            logdet += ld
        loss = (0.5 * z.square().sum(-1) + math.log(2 * math.pi) - logdet).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    with torch.inference_mode():
        for layer in layers:
            x = layer(x)[0]
        for layer in reversed(layers):
            x = layer.inverse(x)
    log("back", x)
    log("state", layers.state_dict())


def vector_quantized_autoencoder_with_straight_through_gradients(log):
    encoder, decoder = nn.Conv1d(1, 4, 4, 4), nn.ConvTranspose1d(4, 1, 4, 4)
    codebook = nn.Embedding(6, 4)
    codebook.weight.data.uniform_(-1 / 6, 1 / 6)
    modules = nn.ModuleDict({"encoder": encoder, "decoder": decoder, "codebook": codebook})
    optimizer = Adam(modules.parameters(), lr=1e-2)
    x = torch.randn(4, 1, 16)
    for _ in range(5):
        z = encoder(x).permute(0, 2, 1).contiguous()
        flat = z.view(-1, 4)
        distances = flat.pow(2).sum(1, keepdim=True) + codebook.weight.pow(2).sum(1) - 2 * flat @ codebook.weight.t()
        indices = torch.argmin(distances, dim=1)
        onehot = torch.zeros(indices.shape[0], 6)
        onehot.scatter_(1, indices.unsqueeze(1), 1)
        q = (onehot @ codebook.weight).view_as(z)
        loss = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(q.detach(), z)
        q = z + (q - z).detach()
        loss = loss + F.mse_loss(decoder(q.permute(0, 2, 1)), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        probabilities = onehot.mean(0)
        log("loss", loss.item())
        log("perplexity", torch.exp(-torch.sum(probabilities * torch.log(probabilities + 1e-10))).item())
    log("indices", indices)
    log("state", modules.state_dict())


def categorical_autoencoder_with_gumbel_softmax(log):
    logits_of = nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 2 * 3))
    decode = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.Sigmoid())
    optimizer = Adam([*logits_of.parameters(), *decode.parameters()], lr=1e-2)
    x = (torch.rand(6, 8) > 0.5).to(torch.get_default_dtype())
    temperature = 1.0
    for step in range(6):
        logits = logits_of(x).view(-1, 2, 3)
        z = F.gumbel_softmax(logits, tau=temperature, hard=step % 2 == 1, dim=-1)
        q = logits.softmax(-1)
        kl = (q * (q.clamp_min(1e-12) * 3).log()).sum((-1, -2)).mean()
        loss = F.binary_cross_entropy(decode(z.flatten(1)), x, reduction="none").sum(-1).mean() + kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        temperature = max(temperature * math.exp(-0.1), 0.5)
        log("loss", loss.item())
    log("state", [logits_of.state_dict(), decode.state_dict()])


PROGRAMS = [
    variational_autoencoder,
    dcgan_with_two_optimizers,
    wasserstein_gan_with_gradient_penalty,
    spectrally_normalized_critic,
    denoising_diffusion,
    normalizing_flow_of_coupling_layers,
    vector_quantized_autoencoder_with_straight_through_gradients,
    categorical_autoencoder_with_gumbel_softmax,
]

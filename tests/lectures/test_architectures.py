"""Rows L60 to L67 of the checklist: the networks by name, their sizes, what makes each work, and that they learn."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
from retrograd import data, models, nn, optim
from retrograd.cli.recipes.segmentation import strewn
from retrograd.nn import functional as F

DATA = os.environ.get("RETROGRAD_DATA")
needs_mnist = pytest.mark.skipif(DATA is None, reason="RETROGRAD_DATA names no folder with the MNIST files")


def parameters_of(model):
    return sum(p.numel() for p in model.parameters())


def mnist(count, train=True):
    """The first images of MNIST, with their labels."""
    images, labels = data.MNIST(Path(DATA) / "mnist", train=train)[:count]
    return images, labels


def blobs(count, device, seed=0):
    """Gray images (count, 1, 28, 28) with a bright patch, and which quarter of the image it is in."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    images = rng.uniform(0, 0.3, (count, 1, 28, 28))
    for image, label in zip(images, labels):
        top, left = 14 * (label // 2) + rng.integers(0, 7), 14 * (label % 2) + rng.integers(0, 7)
        image[0, top : top + 6, left : left + 6] += 0.7
    return rg.tensor(images, dtype=rg.float32, device=device), rg.tensor(labels, device=device)


def losses_of(model, loss, batches, optimizer):
    """The losses while a model learns."""
    found = []
    for batch in batches:
        optimizer.zero_grad()
        value = loss(model, *batch)
        value.backward()
        optimizer.step()
        found.append(value.item())
    return found


def classify(model, images, labels):
    return F.cross_entropy(model(images), labels)


def learns(model, images, labels, steps=12, lr=3e-3):
    """Whether a classifier's loss on one batch falls to less than half."""
    losses = losses_of(model, classify, [(images, labels)] * steps, optim.Adam(model.parameters(), lr=lr))
    return losses[-1] < losses[0] / 2


class TestL60LeNet:
    def test_L60_lenet_has_about_60000_parameters(self):
        assert parameters_of(models.lenet()) == 61_706

    def test_L60_lenet_learns_on_every_device(self, device):
        rg.manual_seed(0)
        with device:
            model = models.lenet(num_classes=4)
        assert learns(model, *blobs(32, device))

    @needs_mnist
    @pytest.mark.slow
    def test_L60_lenet_reads_98_5_percent_of_mnist(self):
        rg.manual_seed(0)
        images, labels = mnist(None)
        loader = data.DataLoader(data.TensorDataset(images, labels), batch_size=100, shuffle=True)
        model = models.lenet()
        optimizer = optim.Adam(model.parameters(), lr=2e-3)
        schedule = optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=2 * len(loader))
        for _ in range(2):
            for batch in loader:
                optimizer.zero_grad()
                classify(model, *batch).backward()
                optimizer.step()
                schedule.step()
        images, labels = mnist(None, train=False)
        with rg.no_grad():
            found = rg.cat([model(part).argmax(dim=1) for part in images.split(1000)])
        assert (found == labels).float().mean().item() >= 0.985


class TestL61AlexNetAndVGG:
    @pytest.mark.slow
    def test_L61_the_large_networks_have_their_published_numbers_of_parameters(self):
        counts = {
            models.alexnet: 61_100_840,
            models.vgg11: 132_863_336,
            models.vgg13: 133_047_848,
            models.vgg16: 138_357_544,
            models.vgg19: 143_667_240,
        }
        assert {make: parameters_of(make()) for make in counts} == counts

    def test_L61_the_first_linear_layer_of_alexnet_takes_9216_features_to_4096(self):
        first = next(m for m in models.alexnet().classifier if isinstance(m, nn.Linear))
        assert (first.in_features, first.out_features) == (9216, 4096)

    @pytest.mark.slow
    @pytest.mark.parametrize("make", [models.alexnet, models.vgg11, models.vgg16])
    def test_L61_a_batch_goes_forward_and_its_gradient_reaches_every_parameter(self, make):
        rg.manual_seed(0)
        model = make(num_classes=5)
        F.cross_entropy(model(rg.randn(2, 3, 64, 64)), rg.tensor([0, 3])).backward()
        assert all(bool((p.grad != 0).any()) for p in model.parameters())


class TestL62ResidualNetworks:
    @pytest.mark.parametrize(
        ("make", "count"),
        [
            (models.resnet18, 11_689_512),
            (models.resnet34, 21_797_672),
            (models.resnet50, 25_557_032),
            (models.resnet101, 44_549_160),
            (models.resnet152, 60_192_808),
        ],
    )
    def test_L62_a_resnet_has_its_published_number_of_parameters(self, make, count):
        assert parameters_of(make()) == count

    def test_L62_the_gradient_through_a_residual_block_is_one_plus_that_of_its_branch(self, device):
        rg.manual_seed(0)
        with device:
            branch = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6)).double()
        x = rg.randn(6, dtype=rg.float64, device=device, requires_grad=True)
        through_block = rg.autograd.functional.jacobian(lambda x: x + branch(x), x)
        through_branch = rg.autograd.functional.jacobian(branch, x)
        identity = rg.eye(6, dtype=rg.float64, device=device)
        np.testing.assert_allclose((through_block - through_branch - identity).cpu().numpy(), 0, atol=1e-14)

    def test_L62_fifty_residual_blocks_pass_a_gradient_that_fifty_plain_ones_lose(self):
        rg.manual_seed(0)
        blocks = [nn.Sequential(nn.Linear(8, 8), nn.Sigmoid()) for _ in range(50)]

        def norm_of_the_gradient(residual):
            x = rg.ones(1, 8, requires_grad=True)
            y = x
            for block in blocks:
                y = y + block(y) if residual else block(y)
            y.sum().backward()
            return x.grad.norm().item()

        assert norm_of_the_gradient(residual=False) < 1e-12
        assert norm_of_the_gradient(residual=True) > 1

    def test_L62_a_small_resnet_learns_on_every_device(self, device):
        rg.manual_seed(0)
        with device:
            model = models.small_resnet(num_classes=4, in_channels=1)
        assert learns(model, *blobs(16, device))

    @pytest.mark.slow
    @pytest.mark.parametrize("make", [models.resnet18, models.resnet50])
    def test_L62_a_batch_goes_through_a_large_resnet_and_its_gradient_reaches_every_parameter(self, make):
        rg.manual_seed(0)
        model = make(num_classes=5)
        F.cross_entropy(model(rg.randn(2, 3, 64, 64)), rg.tensor([0, 3])).backward()
        assert all(p.grad is not None for p in model.parameters())


class TestL63Inception:
    def test_L63_an_inception_layer_puts_its_four_branches_side_by_side(self, device):
        with device:
            layer = models.Inception(12, 4, 3, 6, 2, 5, 7).eval()
        x = rg.randn(2, 12, 9, 8, device=device)
        out = layer(x)
        assert out.shape == (2, 4 + 6 + 5 + 7, 9, 8)
        pooled = layer.branch4[1](F.max_pool2d(x, 3, stride=1, padding=1))
        assert rg.equal(out[:, -7:], pooled)

    def test_L63_the_reductions_make_the_layer_cheaper_than_its_convolutions_alone(self):
        reduced = parameters_of(models.Inception(192, 64, 96, 128, 16, 32, 32).branch3)
        assert reduced < parameters_of(nn.Conv2d(192, 32, 5)) / 10

    @pytest.mark.slow
    def test_L63_googlenet_learns_from_its_three_classifiers(self):
        rg.manual_seed(0)
        model = models.googlenet(num_classes=3, aux_logits=True)
        out = model(rg.randn(2, 3, 64, 64))
        F.cross_entropy(out.logits + 0.3 * (out.aux_logits1 + out.aux_logits2), rg.tensor([0, 2])).backward()
        assert all(p.grad is not None for p in model.parameters())
        assert model.eval()(rg.randn(1, 3, 96, 64)).shape == (1, 3)


def plane(device):
    """Points (200, 6) near a plane of two dimensions, of mean 0."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6)) + 0.05 * rng.normal(size=(200, 6))
    return rg.tensor(points - points.mean(0), device=device)


class TestL64Autoencoder:
    def test_L64_a_linear_autoencoder_spans_the_plane_of_the_principal_components(self, device):
        rg.manual_seed(0)
        points = plane(device)
        with device:
            model = models.linear_autoencoder(6, 2).double()
        losses_of(model, lambda m, x: F.mse_loss(m(x), x), [(points,)] * 600, optim.Adam(model.parameters(), lr=0.02))
        learned = np.linalg.qr(model.decoder[0].weight.detach().cpu().numpy())[0]
        principal = np.linalg.svd(points.cpu().numpy())[2][:2].T
        cosines = np.linalg.svd(learned.T @ principal)[1]  # of the angles between the two planes
        assert np.degrees(np.arccos(np.clip(cosines.min(), -1, 1))) < 1

    @needs_mnist
    def test_L64_the_encoder_helps_a_classifier_that_has_few_labels(self):
        rg.manual_seed(0)
        images, labels = mnist(10_200)
        rows = images.flatten(1)
        model = models.autoencoder()
        loader = data.DataLoader(data.TensorDataset(rows), batch_size=100, shuffle=True)
        for _ in range(4):
            losses_of(model, lambda m, x: F.mse_loss(m(x), x), loader, optim.Adam(model.parameters(), lr=1e-3))
        test_images, test_labels = mnist(2000, train=False)

        def accuracy(encoder):
            classifier = nn.Sequential(encoder, nn.Linear(64, 10))
            learner = optim.Adam(classifier[1].parameters(), lr=1e-2)
            losses_of(classifier, classify, [(rows[:200], labels[:200])] * 150, learner)
            with rg.no_grad():
                return (classifier(test_images.flatten(1)).argmax(1) == test_labels).float().mean().item()

        assert accuracy(model.encoder) > accuracy(models.autoencoder().encoder) + 0.02


class TestL65Segmentation:
    @pytest.mark.slow
    def test_L65_a_fully_convolutional_net_labels_images_of_two_sizes(self):
        rg.manual_seed(0)
        model = models.fcn_resnet50(num_classes=3).eval()
        for height, width in ((33, 48), (64, 40)):
            assert model(rg.randn(1, 3, height, width)).shape == (1, 3, height, width)

    def test_L65_a_unet_learns_to_segment_on_every_device(self, device):
        rg.manual_seed(0)
        images, _ = blobs(6, device)
        patches = (images[:, 0] > 0.5).long()
        with device:
            model = models.unet(num_classes=2, width=4, depth=2)
        assert learns(model, images, patches, steps=25, lr=1e-2)

    def test_L65_a_skip_connection_brings_the_fine_level_to_the_way_up(self):
        model = models.unet(width=4, depth=2)
        assert [merge[0].in_channels for merge in model.merge] == [2 * 4, 2 * 8]
        with pytest.raises(ValueError, match="multiples of 4"):
            model(rg.zeros(1, 1, 30, 28))

    @needs_mnist
    @pytest.mark.slow
    def test_L65_a_unet_finds_the_digits_strewn_on_a_canvas(self):
        rg.manual_seed(0)
        canvases, classes = strewn(data.TensorDataset(*mnist(2000)), 400, seed=0).tensors
        model = models.unet(num_classes=11, width=8)
        loader = data.DataLoader(data.TensorDataset(canvases[:360], classes[:360]), batch_size=6, shuffle=True)
        learner = optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(4):
            losses_of(model, classify, loader, learner)
        with rg.no_grad():
            found = model.eval()(canvases[360:]).argmax(1)
        truth = classes[360:]
        ink = (found > 0) & (truth > 0)
        assert ink.sum().item() / ((found > 0) | (truth > 0)).sum().item() > 0.8


class TestL66VariationalAutoencoder:
    def test_L66_the_gradient_of_a_sample_reaches_mean_and_deviation(self, device):
        mean = rg.zeros(1, 3, device=device, requires_grad=True)
        log_variance = rg.zeros(1, 3, device=device, requires_grad=True)
        rg.manual_seed(0)
        z = models.Latent(mean, log_variance).sample()
        z.sum().backward()
        assert mean.grad.tolist() == [[1, 1, 1]]
        np.testing.assert_allclose(log_variance.grad.cpu().numpy(), z.detach().cpu().numpy() / 2, rtol=1e-6)

    def test_L66_the_divergence_from_the_standard_normal_is_zero_there_and_positive_elsewhere(self, device):
        zeros = rg.zeros(1, 4, device=device)
        assert models.Latent(zeros, zeros).kl_divergence().tolist() == [0]
        # KL(N(1, e) ‖ N(0, 1)) = (1 + e − 1 − 1)/2 in each of four dimensions
        ones = rg.ones(1, 4, device=device)
        np.testing.assert_allclose(models.Latent(ones, ones).kl_divergence().item(), 2 * (np.e - 1), rtol=1e-6)

    @needs_mnist
    def test_L66_a_vae_learns_mnist_and_its_samples_are_like_digits(self):
        rg.manual_seed(0)
        images, _ = mnist(10_000)
        model = models.vae(hidden=128, code=10)
        loader = data.DataLoader(data.TensorDataset(images.flatten(1)), batch_size=100, shuffle=True)
        learner = optim.Adam(model.parameters(), lr=2e-3)
        losses = [np.mean(losses_of(model, lambda m, x: m.loss(x), loader, learner)) for _ in range(4)]
        assert losses[-1] < 145 < losses[0]  # nats per image; 206 for the pixels' own frequencies
        with rg.no_grad():
            samples = model.sample(500)
        assert samples.shape == (500, 784)
        # The pixels that are lit in a tenth of the digits are lit in a tenth of the samples.
        drawn, real = samples.mean(0).numpy(), images.flatten(1).mean(0).numpy()
        assert np.corrcoef(drawn, real)[0, 1] > 0.95


class TestL67GenerativeAdversarialNetwork:
    def test_L67_the_discriminator_learns_with_labels_1_and_0_and_the_generator_with_label_1(self, device):
        rg.manual_seed(0)
        with device:
            model = models.gan(in_features=6, hidden=4, code=2).eval()
        real, fake = rg.randn(5, 6, device=device), model.sample(5)
        truth, lie = model.discriminator(real), model.discriminator(fake)
        expected = -(F.logsigmoid(truth).mean() + F.logsigmoid(-lie).mean())
        np.testing.assert_allclose(model.discriminator_loss(real, fake).item(), expected.item(), rtol=1e-5)
        np.testing.assert_allclose(model.generator_loss(fake).item(), -F.logsigmoid(lie).mean().item(), rtol=1e-5)

    def test_L67_the_step_of_the_discriminator_leaves_the_generator_alone(self):
        model = models.gan(in_features=6, hidden=4, code=2)
        model.discriminator_loss(rg.randn(5, 6), model.sample(5)).backward()
        assert all(p.grad is None for p in model.generator.parameters())
        assert all(p.grad is not None for p in model.discriminator.parameters())

    def test_L67_a_gan_learns_where_its_data_lie(self):
        rg.manual_seed(0)
        generator = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
        discriminator = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
        model = models.GAN(generator, discriminator, code=2)
        learners = [optim.Adam(m.parameters(), lr=3e-3, betas=(0.5, 0.999)) for m in (generator, discriminator)]
        for _ in range(800):
            real = rg.randn(64, 2) * 0.5 + rg.tensor([2.0, -1.0])
            fake = model.sample(64)
            for learner, loss in zip(learners[::-1], (model.discriminator_loss, lambda r, f: model.generator_loss(f))):
                learner.zero_grad()
                loss(real, fake).backward()
                learner.step()
        with rg.no_grad():
            centre = model.sample(1000).mean(0).numpy()
        np.testing.assert_allclose(centre, [2, -1], atol=0.4)

    @pytest.mark.slow
    def test_L67_a_convolutional_gan_makes_images_and_takes_a_step(self, device):
        rg.manual_seed(0)
        with device:
            model = models.dcgan(width=4, code=8)
        fake = model.sample(3)
        assert fake.shape == (3, 1, 28, 28)
        model.generator_loss(fake).backward()
        assert all(p.grad is not None for p in model.generator.parameters())

"""Programs about how models are trained, kept and changed."""

import collections
import copy
import itertools
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
)
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)


def mlp_with_validation_and_early_stopping(log):
    class SpiralDataset(Dataset):
        def __init__(self, n):
            t = torch.rand(n) * 6
            self.y = torch.arange(n) % 3
            angle = t + self.y * 2 * math.pi / 3
            self.x = torch.stack([t * angle.cos(), t * angle.sin()], dim=-1) / 6

        def __len__(self):
            return len(self.y)

        def __getitem__(self, i):
            return self.x[i], self.y[i]

    class MLP(nn.Module):
        def __init__(self, sizes, dropout):
            super().__init__()
            layers = []
            for a, b in zip(sizes[:-1], sizes[1:]):
                layers += [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU(), nn.Dropout(p=dropout)]
            self.net = nn.Sequential(*layers[:-3])

        def forward(self, x):
            return self.net(x)

    train_data, valid_data = torch.utils.data.random_split(SpiralDataset(60), [0.8, 0.2])
    train_loader = DataLoader(train_data, batch_size=16, shuffle=True, drop_last=True)
    valid_loader = DataLoader(valid_data, batch_size=5)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = MLP([2, 16, 16, 3], 0.1).to(device)
    criterion = nn.CrossEntropyLoss().to(device)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    scheduler = ReduceLROnPlateau(optimizer, mode="min", factor=0.5, patience=1)
    best, best_state, patience = float("inf"), None, 0
    for epoch in range(6):
        model.train()
        running = 0.0
        for _i, (inputs, labels) in enumerate(train_loader, 0):
            inputs, labels = inputs.to(device, non_blocking=True), labels.to(device)
            optimizer.zero_grad()
            loss = criterion(model(inputs), labels)
            loss.backward()
            optimizer.step()
            running += loss.item() * inputs.size(0)
        model.eval()
        total, correct = 0.0, 0
        with torch.no_grad():
            for inputs, labels in valid_loader:
                outputs = model(inputs)
                total += criterion(outputs, labels).item() * labels.size(0)
                _, predicted = torch.max(outputs.data, 1)
                correct += (predicted == labels).sum().item()
        scheduler.step(total)
        log("epoch", [epoch, running, total, correct, optimizer.param_groups[0]["lr"]])
        if total < best:
            best, best_state, patience = total, copy.deepcopy(model.state_dict()), 0
        else:
            patience += 1
            if patience > 2:
                break
    log("loaded", str(model.load_state_dict(best_state)))
    log("state", model.state_dict())


def gradient_accumulation_clipping_and_warmup(log):
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = optim.AdamW(model.parameters(), lr=0.02)
    scheduler = LambdaLR(optimizer, lambda step: min((step + 1) ** -0.5, (step + 1) * 4**-1.5))
    x = torch.randn(32, 5)
    y = (x[:, :1] * x[:, 1:2]).sin()
    loader = DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True)
    optimizer.zero_grad()
    for i, (xb, yb) in enumerate(loader):
        loss = F.mse_loss(model(xb), yb) / 2
        loss.backward()
        if (i + 1) % 2 == 0:
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.3, norm_type=2.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            log("step", [loss.item(), norm.item(), scheduler.get_last_lr()])
    vector = nn.utils.parameters_to_vector(model.parameters())
    nn.utils.vector_to_parameters(vector * 0.5, model.parameters())
    log("state", model.state_dict())


def multi_task_with_groups_and_schedulers(log):
    class MultiTask(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = nn.Sequential(collections.OrderedDict([("fc", nn.Linear(4, 8)), ("act", nn.ELU())]))
            self.heads = nn.ModuleDict({"class": nn.Linear(8, 3), "value": nn.Linear(8, 1)})
            self.log_vars = nn.ParameterList([nn.Parameter(torch.zeros(())) for _ in range(2)])
            self.extra = nn.ParameterDict({"shift": nn.Parameter(torch.ones(8))})

        def forward(self, x):
            h = self.trunk(x) + self.extra["shift"]
            return {name: head(h) for name, head in self.heads.items()}

    def schedulers(o):
        yield ExponentialLR(o, gamma=0.9)
        yield MultiStepLR(o, milestones=[2, 4], gamma=0.1)
        yield CosineAnnealingLR(o, T_max=5, eta_min=1e-4)
        yield CosineAnnealingWarmRestarts(o, T_0=3)
        yield OneCycleLR(o, max_lr=[0.05, 0.1, 0.02], total_steps=6)
        yield SequentialLR(o, [LinearLR(o, 0.1, total_iters=3), ExponentialLR(o, 0.5)], milestones=[3])

    x = torch.randn(12, 4)
    targets = {"class": x.argmax(1) % 3, "value": x.norm(dim=1, keepdim=True)}
    model = MultiTask()
    log("names", [(name, type(module).__name__) for name, module in model.named_modules()])
    for number in range(6):
        optimizer = optim.SGD(
            [
                {"params": model.trunk.parameters()},
                {"params": model.heads.parameters(), "lr": 0.05, "momentum": 0.5},
                {"params": itertools.chain(model.log_vars, model.extra.values()), "weight_decay": 0.01},
            ],
            lr=0.02,
            momentum=0.9,
        )
        scheduler = list(itertools.islice(schedulers(optimizer), number, number + 1))[0] if number else None
        for _ in range(5):
            out = model(x)
            losses = [F.cross_entropy(out["class"], targets["class"]), F.l1_loss(out["value"], targets["value"])]
            loss = sum(torch.exp(-s) * item + s for s, item in zip(model.log_vars, losses))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            log("loss", [loss.item(), [group["lr"] for group in optimizer.param_groups]])
    log("state", model.state_dict())


def every_optimizer_resumed_from_its_state(log):
    makers = {
        "SGD": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.1),
        "Adam": lambda p: optim.Adam(p, lr=0.05, weight_decay=0.01),
        "AdamW": lambda p: optim.AdamW(p, lr=0.05, amsgrad=True),
        "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, centered=True),
        "Adagrad": lambda p: optim.Adagrad(p, lr=0.05, lr_decay=0.1),
        "Adadelta": lambda p: optim.Adadelta(p),
        "Adamax": lambda p: optim.Adamax(p, lr=0.02),
        "NAdam": lambda p: optim.NAdam(p),
        "RAdam": lambda p: optim.RAdam(p),
        "Rprop": lambda p: optim.Rprop(p),
        "ASGD": lambda p: optim.ASGD(p),
    }
    x, y = torch.randn(10, 3), torch.randn(10, 2)
    for name, make in makers.items():
        model = nn.Sequential(nn.Linear(3, 6), nn.Sigmoid(), nn.Linear(6, 2))
        optimizer = make(model.parameters())
        for step in range(6):
            if step == 3:
                kept = copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
                model = nn.Sequential(nn.Linear(3, 6), nn.Sigmoid(), nn.Linear(6, 2))
                model.load_state_dict(kept["model"])
                optimizer = make(model.parameters())
                optimizer.load_state_dict(kept["optimizer"])
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            log(name, loss.item())
        log("groups", [sorted(group) for group in optimizer.state_dict()["param_groups"]])
        log("kept", sorted(optimizer.state_dict()["state"][0]))


def transfer_learning_with_a_frozen_body_and_a_new_head(log):
    def make(classes):
        body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        return nn.Sequential(
            collections.OrderedDict(body=body, flatten=nn.Flatten(), head=nn.Linear(4 * 3 * 3, classes))
        )

    pretrained = make(7)
    checkpoint = {"module." + k: v for k, v in pretrained.state_dict().items()}
    state = {k.replace("module.", ""): v for k, v in checkpoint.items() if "head" not in k}
    state["old.weight"] = torch.zeros(2)
    model = make(3)
    missing, unexpected = model.load_state_dict(state, strict=False)
    log("keys", [missing, unexpected])
    for name, param in model.named_parameters():
        if not name.startswith("head"):
            param.requires_grad = False
    model.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(model.head.in_features, 3))
    optimizer = optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
    x, y = torch.randn(6, 1, 8, 8), torch.arange(6) % 3
    for epoch in range(6):
        model.train()
        model.body.eval()
        if epoch == 3:
            for param in model.body.parameters():
                param.requires_grad = True
            optimizer.add_param_group({"params": model.body.parameters(), "lr": 0.01})
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
        log("with gradients", [n for n, p in model.named_parameters() if p.grad is not None])
    log("trained", sum(p.numel() for p in model.parameters() if p.requires_grad))
    log("state", model.state_dict())


def averaged_weights(log):
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    loader = DataLoader(TensorDataset(torch.randn(24, 3), torch.randn(24, 1)), batch_size=8, shuffle=True)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    swa_model = AveragedModel(model)
    ema_model = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    scheduler, swa_scheduler = CosineAnnealingLR(optimizer, T_max=10), SWALR(optimizer, swa_lr=0.05, anneal_epochs=2)
    for epoch in range(5):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            ema_model.update_parameters(model)
        if epoch > 1:
            swa_model.update_parameters(model)
            swa_scheduler.step()
        else:
            scheduler.step()
        log("loss", [loss.item(), optimizer.param_groups[0]["lr"]])
    update_bn(loader, swa_model)
    log("states", [swa_model.state_dict(), ema_model.state_dict()])


def knowledge_distillation_with_mixup_and_label_smoothing(log):
    teacher = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
    student = nn.Sequential(nn.Linear(6, 4), nn.Softsign(), nn.Linear(4, 4))
    optimizer = optim.Adam(student.parameters(), lr=0.02)
    x, y = torch.randn(16, 6), torch.randint(0, 4, (16,))
    T, alpha = 4.0, 0.7
    kl = nn.KLDivLoss(reduction="batchmean")
    for _ in range(6):
        lam = torch.rand(()).item()
        index = torch.randperm(x.size(0))
        mixed = lam * x + (1 - lam) * x[index, :]
        with torch.no_grad():
            soft = F.softmax(teacher(mixed) / T, dim=1)
        out = student(mixed)
        hard = lam * F.cross_entropy(out, y, label_smoothing=0.1)
        hard = hard + (1 - lam) * F.cross_entropy(out, y[index], label_smoothing=0.1)
        loss = alpha * T * T * kl(F.log_softmax(out / T, dim=1), soft) + (1 - alpha) * hard
        probabilities = lam * F.one_hot(y, 4) + (1 - lam) * F.one_hot(y[index], 4)
        loss = loss + 0.1 * F.cross_entropy(out, probabilities.to(out.dtype))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    log("state", student.state_dict())


def losses_by_hand_and_weights_of_samples(log):
    class FocalLoss(nn.Module):
        def __init__(self, gamma=2.0, alpha=None):
            super().__init__()
            self.gamma = gamma
            self.register_buffer("alpha", alpha)

        def forward(self, logits, target):
            logpt = F.log_softmax(logits, dim=1).gather(1, target.view(-1, 1)).view(-1)
            pt = logpt.exp()
            if self.alpha is not None:
                logpt = logpt * self.alpha.gather(0, target)
            return (-((1 - pt) ** self.gamma) * logpt).mean()

    model = nn.Linear(5, 4)
    focal = FocalLoss(alpha=torch.tensor([0.1, 0.2, 0.3, 0.4]))
    bce = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2.0, 3.0, 0.5]))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(20, 5), torch.randint(4, (20,))
    labels = (torch.rand(20, 4) < 0.3).float()
    weights = torch.rand(20)
    sampler = WeightedRandomSampler(weights, num_samples=20, replacement=True)
    for xb, yb, lb, wb in DataLoader(TensorDataset(x, y, labels, weights), batch_size=5, sampler=sampler):
        out = model(xb)
        per_sample = F.cross_entropy(out, yb, reduction="none")
        quantile = torch.quantile(per_sample.detach(), 0.8)
        loss = (per_sample * wb).sum() / wb.sum() + focal(out, yb) + bce(out, lb.to(out.dtype))
        loss = loss + F.multi_margin_loss(out, yb) + F.multilabel_soft_margin_loss(out, lb)
        loss = loss + torch.where(per_sample > quantile, per_sample, torch.zeros_like(per_sample)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        top = out.topk(2, dim=1).indices.eq(yb.unsqueeze(1)).any(1).to(torch.get_default_dtype()).mean()
        log("loss", [loss.item(), top.item()])
    log("buffers", dict(focal.named_buffers()))
    log("state", model.state_dict())


def siamese_network_with_metric_losses(log):
    encoder = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 4))
    optimizer = optim.Adam(encoder.parameters(), lr=0.01)
    anchor, positive, negative = torch.randn(8, 6), torch.randn(8, 6), torch.randn(8, 6)
    sign = torch.ones(8)
    sign[::2] = -1
    cosine = nn.CosineEmbeddingLoss(margin=0.2)
    triplet = nn.TripletMarginLoss(margin=1.0, p=2, swap=True)
    ours = nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: 1.0 - F.cosine_similarity(a, b), margin=0.3)
    for _ in range(6):
        a, p, n = encoder(anchor), encoder(positive), encoder(negative)
        d = F.pairwise_distance(a, p)
        contrastive = torch.mean(d.pow(2) + torch.clamp(2.0 - F.pairwise_distance(a, n), min=0.0).pow(2))
        za, zp = F.normalize(a, dim=-1), F.normalize(p, dim=-1)
        logits = torch.cat([za, zp]) @ torch.cat([za, zp]).T / 0.5
        logits = logits.masked_fill(torch.eye(16, dtype=torch.bool), -1e9)
        nt_xent = F.cross_entropy(logits, torch.cat([torch.arange(8, 16), torch.arange(8)]))
        ranking = F.margin_ranking_loss(F.cosine_similarity(a, p), F.cosine_similarity(a, n), sign, margin=0.1)
        loss = triplet(a, p, n) + cosine(a, p, sign) + ours(a, p, n) + contrastive + nt_xent + ranking
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    with torch.no_grad():
        log("distances", torch.cdist(encoder(anchor), encoder(negative)).topk(3, largest=False))
    log("state", encoder.state_dict())


def data_of_many_kinds(log):
    class Numbers(IterableDataset):
        def __iter__(self):
            return iter({"x": torch.full((2,), float(i)), "name": f"n{i}", "i": i} for i in range(5))

    for batch in DataLoader(Numbers(), batch_size=2):
        log("batch", batch)
    first = TensorDataset(torch.arange(6), torch.randn(6, 2))
    both = ConcatDataset([first, Subset(first, [1, 3])])
    generator = torch.Generator().manual_seed(42)
    loader = DataLoader(both, batch_size=3, shuffle=True, generator=generator, num_workers=0, pin_memory=False)
    for epoch in range(2):
        for i, x in loader:
            log("shuffled", [epoch, i, x])
    log("length", [len(loader), len(loader.dataset), loader.batch_size])

    def collate(samples):
        samples.sort(key=lambda s: len(s), reverse=True)
        return nn.utils.rnn.pad_sequence(samples, batch_first=True, padding_value=-1), [len(s) for s in samples]

    for padded, lengths in DataLoader([torch.arange(n) for n in (2, 5, 3, 1)], batch_size=2, collate_fn=collate):
        log("padded", [padded, lengths])


def lbfgs_with_a_closure(log):
    torch.manual_seed(3)
    x = torch.linspace(-1, 1, 30).unsqueeze(1)
    y = x.pow(3) - 0.3 * x
    model = nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1))
    optimizer = optim.LBFGS(model.parameters(), lr=0.5, max_iter=3, history_size=5, line_search_fn="strong_wolfe")
    for _ in range(3):

        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            return loss

        log("loss", optimizer.step(closure).item())


def q_learning_with_a_replay_buffer_and_policy_gradient(log):
    rng = torch.Generator().manual_seed(0)
    policy_net, target_net = nn.Linear(4, 2), nn.Linear(4, 2)
    target_net.load_state_dict(policy_net.state_dict())
    target_net.eval()
    Transition = collections.namedtuple("Transition", ("state", "action", "next_state", "reward"))
    memory = collections.deque([], maxlen=20)
    for i in range(20):
        following = None if i % 5 == 4 else torch.randn(1, 4, generator=rng)
        action = torch.tensor([[i % 2]], dtype=torch.long)
        memory.append(Transition(torch.randn(1, 4, generator=rng), action, following, torch.tensor([i / 10])))
    optimizer = optim.RMSprop(policy_net.parameters())
    for step in range(4):
        batch = Transition(*zip(*list(memory)[step * 4 : step * 4 + 8]))
        mask = torch.tensor(tuple(map(lambda s: s is not None, batch.next_state)), dtype=torch.bool)
        following = torch.cat([s for s in batch.next_state if s is not None])
        values = policy_net(torch.cat(batch.state)).gather(1, torch.cat(batch.action))
        next_values = torch.zeros(len(mask))
        next_values[mask] = target_net(following).max(1)[0].detach()
        expected = (next_values * 0.9) + torch.cat(batch.reward)
        loss = F.smooth_l1_loss(values, expected.unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        for param in policy_net.parameters():
            param.grad.data.clamp_(-1, 1)
        optimizer.step()
        for t, p in zip(target_net.parameters(), policy_net.parameters()):
            t.data.copy_(0.9 * t.data + 0.1 * p.data)
        log("loss", loss.item())
    actor = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=-1))
    states = torch.cat([t.state for t in memory])
    probs = actor(states)
    actions = probs.multinomial(1)
    returns = torch.arange(20.0)
    returns = (returns - returns.mean()) / (returns.std() + 1e-8)
    loss = (-probs.gather(1, actions).log().squeeze(1) * returns).sum() + 0.01 * (probs * probs.log()).sum()
    loss.backward()
    log("policy gradient", [loss.item(), actions, *[p.grad for p in actor.parameters()]])
    log("target", target_net.state_dict())


PROGRAMS = [
    mlp_with_validation_and_early_stopping,
    gradient_accumulation_clipping_and_warmup,
    multi_task_with_groups_and_schedulers,
    every_optimizer_resumed_from_its_state,
    transfer_learning_with_a_frozen_body_and_a_new_head,
    averaged_weights,
    knowledge_distillation_with_mixup_and_label_smoothing,
    losses_by_hand_and_weights_of_samples,
    siamese_network_with_metric_losses,
    data_of_many_kinds,
    lbfgs_with_a_closure,
    q_learning_with_a_replay_buffer_and_policy_gradient,
]

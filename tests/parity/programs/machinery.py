"""Programs that use what modules and autograd offer beyond layers: hooks, functions of one's own, functional calls."""

import copy
import functools
from typing import Dict, Optional, Tuple

import torch
import torch.nn.functional as F
import torch.nn.utils.parametrize as parametrize
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.functional import hessian, jacobian
from torch.func import functional_call, grad, jacrev, vmap
from torch.nn.parameter import Parameter
from torch.utils.checkpoint import checkpoint


def functions_of_ones_own_inside_a_module(log):
    class STEFunction(Function):
        @staticmethod
        def forward(ctx, input):
            ctx.save_for_backward(input)
            return (input > 0).to(input.dtype) * 2 - 1

        @staticmethod
        def backward(ctx, grad_output):
            (input,) = ctx.saved_tensors
            grad_input = grad_output.clone()
            grad_input[input.abs() > 1] = 0
            return grad_input

    class LinearFunction(torch.autograd.Function):
        @staticmethod
        def forward(ctx, input, weight, bias=None, scale=1.0):
            ctx.save_for_backward(input, weight, bias)
            ctx.scale = scale
            output = input.mm(weight.t()) * scale
            if bias is not None:
                output += bias.unsqueeze(0).expand_as(output)
            return output

        @staticmethod
        def backward(ctx, grad_output):
            input, weight, bias = ctx.saved_tensors
            grad_input = grad_weight = grad_bias = None
            if ctx.needs_input_grad[0]:
                grad_input = grad_output.mm(weight) * ctx.scale
            if ctx.needs_input_grad[1]:
                grad_weight = grad_output.t().mm(input) * ctx.scale
            if bias is not None and ctx.needs_input_grad[2]:
                grad_bias = grad_output.sum(0)
            return grad_input, grad_weight, grad_bias, None

    class GradientReversal(Function):
        @staticmethod
        def forward(ctx, x, alpha):
            ctx.alpha = alpha
            return x.view_as(x)

        @staticmethod
        def backward(ctx, grad_output):
            return grad_output.neg() * ctx.alpha, None

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(5, 4).uniform_(-0.5, 0.5))
            self.bias = nn.Parameter(torch.zeros(5))
            self.label, self.domain = nn.Linear(5, 3), nn.Linear(5, 2)

        def forward(self, x):
            h = STEFunction.apply(LinearFunction.apply(x, self.weight, self.bias, 0.5))
            return self.label(h), self.domain(GradientReversal.apply(h, 0.3))

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y, d = torch.randn(8, 4), torch.randint(3, (8,)), torch.arange(8) % 2
    for _ in range(5):
        label, domain = model(x)
        loss = F.cross_entropy(label, y) + F.cross_entropy(domain, d)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    double = torch.randn(2, 4).double().requires_grad_(), torch.randn(3, 4).double().requires_grad_()
    log("checked", torch.autograd.gradcheck(LinearFunction.apply, double))
    log("state", model.state_dict())


def hooks_of_every_kind(log):
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 1))
    activation, seen = {}, []

    def save(name, module, args, output):
        activation[name] = output.detach()

    handles = [m.register_forward_hook(functools.partial(save, n)) for n, m in model.named_modules() if n]
    handles.append(model[2].register_forward_pre_hook(lambda m, args: (args[0] * 2,)))
    handles.append(model[4].register_forward_hook(lambda m, args, out: out + 1))
    handles.append(
        model[2].register_full_backward_hook(lambda m, gi, go: seen.append(("full", gi[0].clone(), go[0].clone())))
    )
    handles.append(model[4].register_full_backward_pre_hook(lambda m, go: (go[0] * 3,)))
    handles.append(model[0].weight.register_hook(lambda g: g.clamp(-0.1, 0.1)))
    handles.append(model[4].register_forward_hook(lambda m, a, kw, out: seen.append(("kwargs", kw)), with_kwargs=True))
    model[2].bias.register_post_accumulate_grad_hook(lambda p: seen.append(("accumulated", p.grad.clone())))
    x = torch.randn(3, 4, requires_grad=True)
    hidden = model[:3](x)
    hidden.retain_grad()
    hidden.register_hook(lambda g: seen.append(("hidden", g)))
    model[3:](hidden).pow(2).sum().backward()
    log("activations", activation)
    log("seen", sorted(seen, key=lambda entry: entry[0]))
    log("gradients", [x.grad, hidden.grad, *[p.grad for p in model.parameters()]])
    for handle in handles:
        handle.remove()
    activation.clear()
    log("after", [model(x), activation])


def gradients_of_gradients(log):
    model = nn.Sequential(nn.Linear(3, 8), nn.Softplus(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    x = torch.rand(16, 3, requires_grad=True)
    for _ in range(5):
        u = model(x)
        du = torch.autograd.grad(u, x, torch.ones_like(u), create_graph=True)[0]
        uxx = torch.autograd.grad(du[:, 0].sum(), x, create_graph=True)[0][:, 0]
        loss = (du[:, 1] - 0.1 * uxx).pow(2).mean() + (u[:, 0] - torch.sin(x[:, 0])).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    grads = torch.autograd.grad(model(x).sum(), list(model.parameters()), create_graph=True)
    flat = torch.cat([g.reshape(-1) for g in grads])
    vector = torch.randn_like(flat)
    product = torch.autograd.grad(flat @ vector, list(model.parameters()), allow_unused=True)
    log("hessian-vector product", [p for p in product if p is not None])
    log("jacobian", jacobian(lambda t: model(t).squeeze(-1), x[:2].detach()))
    log("hessian", hessian(lambda t: model(t).sum(), x[0].detach()))
    x.grad = None
    model.requires_grad_(False)
    adversarial = x + 0.1 * torch.autograd.grad(model(x).sum(), x)[0].sign()
    log("adversarial", adversarial)


def model_agnostic_meta_learning(log):
    net = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))
    meta = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(4):
        meta.zero_grad()
        total = 0.0
        for _task in range(2):
            amplitude, phase = torch.rand(1) * 4 + 0.1, torch.rand(1) * 3.14
            xs, xq = torch.rand(5, 1) * 10 - 5, torch.rand(5, 1) * 10 - 5
            fast = dict(net.named_parameters())
            for _inner in range(2):
                loss = F.mse_loss(functional_call(net, fast, (xs,)), amplitude * torch.sin(xs + phase))
                grads = torch.autograd.grad(loss, tuple(fast.values()), create_graph=True)
                fast = {name: p - 0.05 * g for (name, p), g in zip(fast.items(), grads)}
            total = total + F.mse_loss(functional_call(net, fast, xq), amplitude * torch.sin(xq + phase))
        total.backward()
        meta.step()
        log("loss", total.item())
    params = {k: v.detach() for k, v in net.named_parameters()}

    def compute_loss(params, sample, target):
        return F.mse_loss(functional_call(net, params, (sample.unsqueeze(0),)), target.unsqueeze(0))

    x, y = torch.randn(4, 1), torch.randn(4, 1)
    log("per sample", vmap(grad(compute_loss), in_dims=(None, 0, 0))(params, x, y))
    log("jacobian", jacrev(lambda p: functional_call(net, p, x))(params))


def parametrizations_of_ones_own(log):
    class Symmetric(nn.Module):
        def forward(self, X):
            return X.triu() + X.triu(1).transpose(-1, -2)

        def right_inverse(self, A):
            return A.triu()

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(0.5))

        def forward(self, X):
            return X * self.scale

    layer = nn.Linear(4, 4)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    parametrize.register_parametrization(layer, "weight", Scaled(), unsafe=True)
    log("symmetric", torch.allclose(layer.weight, layer.weight.T))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    x = torch.randn(5, 4)
    for _ in range(4):
        with parametrize.cached():
            loss = (layer(x) @ layer.weight).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    log("state", layer.state_dict())
    parametrize.remove_parametrizations(layer, "weight")
    log("plain", layer.state_dict())
    log("class", type(layer).__name__)


def lazy_modules_buffers_and_copies(log):
    class Running(nn.Module):
        mean: Tensor
        count: Optional[Tensor]

        def __init__(self, momentum: float = 0.1) -> None:
            super().__init__()
            self.momentum = momentum
            self.register_buffer("mean", torch.zeros(1))
            self.register_buffer("count", torch.tensor(0, dtype=torch.long))
            self.register_buffer("cache", None, persistent=False)
            self.register_parameter("gain", Parameter(torch.ones(1)))

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                with torch.no_grad():
                    self.mean.mul_(1 - self.momentum).add_(self.momentum * x.mean())
                    self.count += 1
                self.cache = x.detach()
            return (x - self.mean) * self.gain

        def extra_repr(self) -> str:
            return f"momentum={self.momentum}"

    model = nn.Sequential(
        nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3), Running()
    )
    log("lazy", repr(model))
    model(torch.zeros(2, 1, 5, 5))
    log("materialised", repr(model))
    model.apply(lambda m: nn.init.xavier_uniform_(m.weight) if isinstance(m, (nn.Linear, nn.Conv2d)) else None)
    twin = copy.deepcopy(model)
    optimizer = torch.optim.Adadelta(model.parameters())
    x, y = torch.randn(4, 1, 5, 5), torch.tensor([0, 2, 1, 1])
    for _ in range(4):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    twin.eval()
    log("twin", twin(x))
    log("differs", not torch.equal(twin[4].weight, model[4].weight))
    log("shared", copy.copy(model)[4].weight is model[4].weight)
    log("buffers", dict(model.named_buffers()))
    log("count", [model[5].count.item(), model[5].count.dtype])
    log("half", [p.dtype for p in copy.deepcopy(model).half().parameters()])
    log("double", [(k, v.dtype) for k, v in twin.double().state_dict().items()])
    del model[5]
    model.insert(0, nn.Identity())
    model.append(nn.Softmax(dim=1))
    log("children", [(n, type(m).__name__) for n, m in model.named_children()])
    log("state", model.state_dict())


def states_that_are_saved_and_loaded_by_hooks(log):
    class Versioned(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

        def get_extra_state(self):
            return {"version": 2}

        def set_extra_state(self, state):
            log("extra state", state)

        def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
            if prefix + "fc.weight" in state_dict:
                for name in ("weight", "bias"):
                    state_dict[f"{prefix}linear.{name}"] = state_dict.pop(f"{prefix}fc.{name}")
            super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    model = nn.ModuleList([Versioned(), Versioned()])
    state = model.state_dict()
    log("keys", list(state))
    old = {k.replace("linear", "fc"): v for k, v in state.items()}
    model.register_load_state_dict_post_hook(
        lambda m, keys: log("left over", [keys.missing_keys, keys.unexpected_keys])
    )
    twin = nn.ModuleList([Versioned(), Versioned()])
    twin.load_state_dict(old)
    model.load_state_dict(twin.state_dict(prefix=""))
    log("same", all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters())))
    for wrong in ({"0.linear.weight": torch.zeros(5, 5)}, {}):
        try:
            twin.load_state_dict(wrong)
        except RuntimeError as error:
            log("refused", str(error).splitlines()[0])
    log("buffers", [n for n, _ in model.named_buffers()])
    model.zero_grad()
    log("state", {k: v for k, v in model.state_dict().items() if isinstance(v, Tensor)})


def memory_saved_by_checkpoints(log):
    blocks = nn.ModuleList(nn.Sequential(nn.Linear(6, 6), nn.GELU(), nn.Dropout(0.2)) for _ in range(3))
    head = nn.Linear(6, 1)
    optimizer = torch.optim.SGD([*blocks.parameters(), *head.parameters()], lr=0.1)
    x = torch.randn(8, 6)
    for _ in range(4):
        h = x
        for block in blocks:
            h = h + checkpoint(block, h, use_reentrant=False)
        loss = head(h).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    log("state", [blocks.state_dict(), head.state_dict()])


def graph_network_with_scattering(log):
    class GCNConv(nn.Module):
        def __init__(self, cin: int, cout: int):
            super().__init__()
            self.lin = nn.Linear(cin, cout, bias=False)
            self.bias = Parameter(torch.zeros(cout))

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            n = x.size(0)
            loops = torch.arange(n, device=x.device)
            row, col = torch.cat([edge_index, torch.stack([loops, loops])], dim=1)
            deg = torch.zeros(n, dtype=x.dtype).scatter_add_(0, col, torch.ones_like(col, dtype=x.dtype))
            norm = deg.pow(-0.5)[row] * deg.pow(-0.5)[col]
            messages = self.lin(x)[row] * norm.unsqueeze(-1)
            return torch.zeros(n, messages.size(1)).index_add_(0, col, messages) + self.bias

    class GAT(nn.Module):
        def __init__(self, cin, cout):
            super().__init__()
            self.W = nn.Parameter(nn.init.xavier_uniform_(torch.empty(cin, cout), gain=1.414))
            self.a = nn.Parameter(nn.init.xavier_uniform_(torch.empty(2 * cout, 1)))

        def forward(self, h, adj):
            Wh = torch.mm(h, self.W)
            d = self.W.shape[1]
            e = F.leaky_relu(torch.matmul(Wh, self.a[:d, :]) + torch.matmul(Wh, self.a[d:, :]).T, 0.2)
            attention = torch.where(adj > 0, e, -9e15 * torch.ones_like(e)).softmax(dim=1)
            return F.elu(attention @ Wh)

    edges = torch.tensor([[0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 2]])
    adj = torch.eye(5)
    adj[edges[0], edges[1]] = 1
    conv, gat, out = GCNConv(3, 6), GAT(6, 6), nn.Linear(12, 2)
    modules = nn.ModuleList([conv, gat, out])
    optimizer = torch.optim.Adam(modules.parameters(), lr=0.01, weight_decay=5e-4)
    x, y = torch.randn(5, 3), torch.tensor([0, 1, 0, 1, 1])
    mask = torch.tensor([True, True, False, True, False])
    for _ in range(5):
        h = conv(x, edges).relu_()
        h = gat(h, adj)
        pooled = torch.zeros(5, 6).scatter_reduce(0, edges[1][:, None].expand(-1, 6), h[edges[0]], reduce="amax")
        loss = F.cross_entropy(out(torch.hstack([h, pooled]))[mask], y[mask])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log("loss", loss.item())
    log("state", modules.state_dict())


def physics_by_a_differentiable_simulation(log):
    class Simulator(nn.Module):
        def __init__(self):
            super().__init__()
            self.k = nn.Parameter(torch.tensor(1.5))
            self.friction = nn.Parameter(torch.tensor(0.1))

        def force(self, state: Tuple[Tensor, Tensor]) -> Tensor:
            position, velocity = state
            return -self.k * torch.sin(position) - self.friction * velocity

        def forward(self, position, velocity, steps=20, dt=0.1) -> Dict[str, Tensor]:
            trajectory = torch.empty(steps, *position.shape)
            for i in range(steps):
                velocity = velocity + dt * self.force((position, velocity))
                position = position + dt * velocity
                trajectory[i] = position
            return {"trajectory": trajectory, "energy": 0.5 * velocity**2 + self.k * (1 - position.cos())}

    model = Simulator()
    start = torch.linspace(-1, 1, 5)
    with torch.no_grad():
        observed = functional_call(model, {"k": torch.tensor(2.0), "friction": torch.tensor(0.3)}, (start, start * 0))
    optimizer = torch.optim.Rprop(model.parameters(), lr=0.05)
    for _ in range(8):
        out = model(start, torch.zeros_like(start))
        loss = (out["trajectory"] - observed["trajectory"]).square().mean()
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.friction.clamp_(min=0)
        log("loss", [loss.item(), model.k.item(), model.friction.item()])


PROGRAMS = [
    functions_of_ones_own_inside_a_module,
    hooks_of_every_kind,
    gradients_of_gradients,
    model_agnostic_meta_learning,
    parametrizations_of_ones_own,
    lazy_modules_buffers_and_copies,
    states_that_are_saved_and_loaded_by_hooks,
    memory_saved_by_checkpoints,
    graph_network_with_scattering,
    physics_by_a_differentiable_simulation,
]

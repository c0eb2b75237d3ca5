"""Module: what it finds in itself, saves, loads and calls."""

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.scale = nn.Parameter(rg.ones(4))
        self.register_buffer("mean", rg.zeros(4))
        self.register_buffer("scratch", rg.zeros(1), persistent=False)

    def forward(self, x):
        x = self.first(x)
        for layer in self.layers:
            x = layer(x).sigmoid()
        return x * self.scale - self.mean


def test_parameters_come_in_the_order_of_their_assignment_own_ones_first():
    assert [name for name, _ in Net().named_parameters()] == [
        "scale",
        "first.weight",
        "first.bias",
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.weight",
        "layers.1.bias",
    ]


def test_buffers_move_and_are_saved_unless_transient():
    net = Net()
    assert [name for name, _ in net.named_buffers()] == ["mean", "scratch"]
    assert "mean" in net.state_dict()
    assert "scratch" not in net.state_dict()
    net.mean = rg.ones(4)
    assert net.get_buffer("mean").tolist() == [1.0] * 4
    net.double()
    assert net.mean.dtype == rg.float64 == net.scratch.dtype


def test_a_module_computes_on_every_device(device):
    rg.manual_seed(0)
    net = Net().to(device)
    assert {p.device for p in net.parameters()} == {rg.device(device)} if isinstance(device, str) else True
    out = net(rg.ones(2, 3, device=device))
    out.sum().backward()
    assert out.shape == (2, 4)
    assert all(p.grad is not None and p.grad.device == p.device for p in net.parameters())


def test_a_shared_parameter_is_found_once_and_saved_under_both_names():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert len(list(net.parameters())) == 3
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    assert set(net.state_dict()) == {"0.weight", "0.bias", "1.weight", "1.bias"}


def test_replacing_a_parameter_by_none_takes_it_out_of_training_and_state():
    layer = nn.Linear(2, 2)
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert layer(rg.ones(1, 2)).shape == (1, 2)
    del layer.weight
    assert list(layer.state_dict()) == []
    with pytest.raises(AttributeError, match="weight"):
        layer.weight


def test_a_plain_tensor_is_no_parameter():
    layer = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"cannot assign 'Tensor' as parameter 'weight' \(nn.Parameter or None"):
        layer.weight = rg.ones(2, 2)
    layer.extra = rg.ones(2)
    assert "extra" not in layer.state_dict()


def test_assigning_before_init_says_so():
    class Early(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)
            super().__init__()

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        Early()


def test_loading_lists_everything_wrong_at_once_and_loads_nothing():
    net = Net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    del state["scale"]
    state["unknown"] = rg.ones(1)
    state["first.weight"] = rg.ones(2, 2)
    state["first.bias"] = [0.0] * 4
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(state)
    message = str(error.value)
    for part in ('Missing key(s) in state_dict: "scale"', 'Unexpected key(s) in state_dict: "unknown"'):
        assert part in message
    assert "first.weight: size mismatch: shape (2, 2) in the state_dict, (4, 3) in this model" in message
    assert "first.bias: expected a Tensor, got list" in message
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict(state, strict=False)
    for name, value in net.state_dict().items():
        assert value.tolist() == before[name].tolist()


def test_loading_loosely_reports_what_was_left_out():
    net = Net()
    result = net.load_state_dict({"scale": rg.zeros(4), "unknown": rg.ones(1)}, strict=False)
    assert net.scale.tolist() == [0.0] * 4
    assert result.unexpected_keys == ["unknown"]
    assert "first.weight" in result.missing_keys


def test_a_state_shares_memory_with_the_module_and_loading_copies():
    net, other = Net(), Net()
    state = net.state_dict()
    other.load_state_dict(state)
    with rg.no_grad():
        net.scale.fill_(5)
    assert state["scale"].tolist() == [5.0] * 4
    assert other.scale.tolist() == [1.0] * 4
    other.load_state_dict(state, assign=True)
    assert isinstance(other.scale, nn.Parameter)
    assert other.scale.requires_grad
    assert other.scale.tolist() == [5.0] * 4


def test_loading_casts_to_the_parameters_dtype():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": rg.ones(1, 2, dtype=rg.float64), "bias": rg.zeros(1, dtype=rg.float64)})
    assert layer.weight.dtype == rg.float32
    assert layer.weight.tolist() == [[1.0, 1.0]]


def test_frozen_parameters_get_no_gradient():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    net[0].requires_grad_(False)
    net(rg.ones(1, 2)).sum().backward()
    assert net[0].weight.grad is None
    assert net[1].weight.grad is not None
    net.zero_grad()
    assert net[1].weight.grad is None


def test_zero_grad_can_keep_the_tensors():
    layer = nn.Linear(2, 1)
    layer(rg.ones(1, 2)).sum().backward()
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad.tolist() == [[0.0, 0.0]]


def test_train_and_eval_reach_every_module():
    net = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5)))
    x = rg.ones(50)
    assert net.eval()(x).tolist() == [1.0] * 50
    assert not net[1][0].training
    assert net.train()(x).tolist() != [1.0] * 50


def test_apply_visits_children_before_their_parents():
    seen = []
    net = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
    net.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "ReLU", "Sequential"]


def test_hooks_go_when_their_handle_is_removed():
    layer, calls = nn.Linear(1, 1), []
    handle = layer.register_forward_hook(lambda m, args, out: calls.append(1))
    layer(rg.ones(1, 1))
    handle.remove()
    layer(rg.ones(1, 1))
    assert calls == [1]


def test_a_forward_hook_that_is_always_called_sees_failures():
    layer, calls = nn.Linear(2, 1), []
    layer.register_forward_hook(lambda m, args, out: calls.append(out), always_call=True)
    with pytest.raises(RuntimeError, match="does not fit weight"):
        layer(rg.ones(1, 3))
    assert calls == [None]


def test_hooks_can_take_and_change_keyword_arguments():
    class Scaled(nn.Module):
        def forward(self, x, factor=1.0):
            return x * factor

    module = Scaled()
    module.register_forward_pre_hook(lambda m, args, kwargs: (args, {"factor": 3.0}), with_kwargs=True)
    assert module(rg.ones(1), factor=2.0).item() == 3.0


def test_backward_hooks_survive_a_second_order_gradient():
    layer, seen = nn.Linear(1, 1, bias=False).double(), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(gi[0].requires_grad))
    x = rg.tensor([[2.0]], dtype=rg.float64, requires_grad=True)
    (g,) = rg.autograd.grad((layer(x) ** 2).sum(), x, create_graph=True)
    (h,) = rg.autograd.grad(g.sum(), x)
    assert seen[0]
    assert h.item() == pytest.approx(2 * layer.weight.item() ** 2)


class TestContainers:
    def test_sequential_slices_share_their_modules_and_keep_their_names(self):
        net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
        assert net[1:][0] is net[1]
        assert list(net[1:].state_dict()) == ["2.weight", "2.bias"]
        assert net[-1] is net[2]

    def test_sequential_grows_and_shrinks(self):
        net = nn.Sequential(nn.Linear(1, 2))
        net.append(nn.ReLU()).insert(0, nn.Identity())
        assert [type(m).__name__ for m in net] == ["Identity", "Linear", "ReLU"]
        del net[0]
        assert list(net.state_dict()) == ["0.weight", "0.bias"]
        assert isinstance(net.pop(), nn.ReLU)
        assert len(net + nn.Sequential(nn.Tanh())) == 2
        assert len(net * 3) == 3
        with pytest.raises(IndexError, match="out of range"):
            net[5]

    def test_named_layers_come_from_a_dict(self):
        net = nn.Sequential({"in": nn.Linear(1, 2), "out": nn.Linear(2, 1)})
        assert net(rg.ones(3, 1)).shape == (3, 1)
        assert next(iter(net.state_dict())) == "in.weight"

    def test_module_lists_behave_as_lists(self):
        layers = nn.ModuleList(nn.Linear(1, 1) for _ in range(3))
        layers[1] = nn.ReLU()
        layers += [nn.Tanh()]
        layers.insert(0, nn.Identity())
        assert [type(m).__name__ for m in layers] == ["Identity", "Linear", "ReLU", "Linear", "Tanh"]
        assert len(layers[1:3]) == 2
        assert len(list(layers.parameters())) == 4

    def test_module_dicts_behave_as_dicts(self):
        layers = nn.ModuleDict({"a": nn.Linear(1, 1)})
        layers["b"] = nn.ReLU()
        assert list(layers) == ["a", "b"] == list(layers.keys())
        assert "a" in layers
        assert isinstance(layers.pop("b"), nn.ReLU)
        layers.clear()
        assert len(layers) == 0

    def test_parameter_lists_and_dicts_hold_parameters(self):
        values = nn.ParameterList([rg.ones(2), 3])
        values.append(rg.zeros(1))
        values[0] = rg.zeros(2)
        assert [name for name, _ in values.named_parameters()] == ["0", "2"]
        named = nn.ParameterDict({"w": rg.ones(2)})
        named["b"] = rg.zeros(1)
        del named["w"]
        assert [name for name, _ in named.named_parameters()] == ["b"]
        with pytest.raises(KeyError):
            named["w"]


class TestParameter:
    def test_it_shares_the_storage_of_its_data(self):
        data = rg.zeros(2)
        parameter = nn.Parameter(data)
        data.fill_(3)
        assert parameter.tolist() == [3.0, 3.0]
        assert parameter.requires_grad
        assert parameter.is_leaf

    def test_integers_cannot_require_a_gradient(self):
        with pytest.raises(RuntimeError, match="floating point"):
            nn.Parameter(rg.arange(3))
        assert not nn.Parameter(rg.arange(3), requires_grad=False).requires_grad

    def test_operations_on_it_give_plain_tensors(self):
        assert type(nn.Parameter(rg.ones(2)) * 2) is rg.Tensor

    def test_data_that_are_no_tensor_are_refused(self):
        with pytest.raises(TypeError, match="must be a Tensor, got ndarray"):
            nn.Parameter(np.ones(2))

    def test_a_parameter_as_the_gradient_of_a_recorded_backward(self):
        x = rg.tensor([2.0], requires_grad=True)
        weight = nn.Parameter(rg.tensor([3.0]))
        (g,) = rg.autograd.grad(x * x, x, grad_outputs=weight, create_graph=True)
        assert g.item() == 12.0


def test_clipping_reports_gradients_that_overflowed_and_leaves_them():
    weight = nn.Parameter(rg.zeros(2))
    weight.grad = rg.tensor([float("inf"), 1.0])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_([weight], 1.0, error_if_nonfinite=True)
    assert weight.grad.tolist() == [float("inf"), 1.0]
    assert nn.utils.clip_grad_norm_([nn.Parameter(rg.zeros(2))], 1.0).item() == 0.0


def test_clipping_and_norms_work_on_every_device(device):
    weight = nn.Parameter(rg.zeros(2, device=device))
    weight.grad = rg.tensor([3.0, 4.0], device=device)
    assert nn.utils.clip_grad_norm_(weight, 1.0).item() == 5.0
    assert weight.grad.tolist() == pytest.approx([0.6, 0.8])
    nn.utils.clip_grad_value_(weight, 0.7)
    assert weight.grad.tolist() == pytest.approx([0.6, 0.7])


@pytest.mark.parametrize("value", [(rg.ones(2, 3), None), [1.0, 2.0, 3.0], np.ones((2, 3)), None])
def test_a_layer_that_is_given_something_else_than_a_tensor_names_its_type(value):
    layers = nn.Linear(3, 2), nn.Dropout(), nn.LayerNorm(3), nn.MaxPool1d(2), nn.Embedding(3, 2), nn.CrossEntropyLoss()
    for layer in layers:
        arguments = (value, rg.zeros(2)) if isinstance(layer, nn.CrossEntropyLoss) else (value,)
        if isinstance(value, np.ndarray) and not isinstance(layer, (nn.Linear, nn.Dropout, nn.CrossEntropyLoss)):
            continue  # the others take arrays
        with pytest.raises(TypeError, match=f"^{type(layer).__name__}: expected a Tensor, got {type(value).__name__}"):
            layer(*arguments)


def test_an_attribute_that_a_network_itself_misses_stays_an_attribute_error():
    class Network(nn.Module):
        def forward(self, x):
            return x.shape

    with pytest.raises(AttributeError, match="shape"):
        Network()((1, 2))

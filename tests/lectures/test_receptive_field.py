"""Row L34: what an element of a feature map sees of the input."""

import pytest

from retrograd import nn, viz


@pytest.mark.parametrize("input_size", [None, (1, 1, 28, 28)])
def test_L34_fields_of_the_notes_example_are_3_4_4_and_10(input_size, device):
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=1), nn.MaxPool2d(2, 2), nn.Conv2d(2, 2, 1, stride=1), nn.MaxPool2d(4, 2)
    ).to(device)
    fields = viz.receptive_field(model, input_size)
    assert [field.size for field in fields] == [(3, 3), (4, 4), (4, 4), (10, 10)]
    assert [field.jump for field in fields] == [(1, 1), (2, 2), (2, 2), (4, 4)]
    assert [field.start[0] for field in fields] == [1.0, 1.5, 1.5, 4.5]


class LeNet(nn.Module):
    """LeCun, Bottou, Bengio & Haffner 1998, on 32×32 images."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)
        )
        self.classifier = nn.Sequential(
            nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)
        )

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def test_L34_lenets_first_fully_connected_layer_sees_the_whole_image(device):
    fields = viz.receptive_field(LeNet().to(device), (1, 1, 32, 32))
    assert [field.size[0] for field in fields] == [5, 6, 14, 16, 32, 32, 32]
    assert fields["classifier.0"].size == (32, 32)
    assert fields["classifier.0"].start == (15.5, 15.5)


def test_L34_stride_and_dilation_widen_the_field_of_what_follows():
    fields = viz.receptive_field(nn.Sequential(nn.MaxPool2d(3, 2), nn.MaxPool2d(3, 2), nn.MaxPool2d(3, 1, dilation=2)))
    assert [field.size[0] for field in fields] == [3, 7, 23]

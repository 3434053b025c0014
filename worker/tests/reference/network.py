"""The networks, the loss and the parameter names, as a PyTorch user would write them.

Used by the reference values, the checkpoint fixtures and the benchmark, so that all three speak of the same networks.
"""

import torch
from torch import nn

CLASSES = 10


class ConvLayer(nn.Module):
    def __init__(self, channels_in, channels_out, norm):
        super().__init__()
        self.cnn_layer = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, kernel_size=5, padding=2, bias=False),
            norm(channels_out),
            nn.PReLU(),
        )

    def forward(self, x):
        return self.cnn_layer(x)


class Network(nn.Module):
    """`[batch, 1, 28, 28]` → features `[batch, feature_dim]` and raw scores `[batch, 10]`."""

    def __init__(self, feature_dim=2, norm=nn.BatchNorm2d):
        super().__init__()
        self.conv_layer = nn.Sequential(
            ConvLayer(1, 32, norm),
            ConvLayer(32, 32, norm),
            nn.MaxPool2d(2),
            ConvLayer(32, 64, norm),
            ConvLayer(64, 64, norm),
            nn.MaxPool2d(2),
            ConvLayer(64, 128, norm),
            ConvLayer(128, 128, norm),
            nn.MaxPool2d(2),
        )
        self.features = nn.Linear(128 * 3 * 3, feature_dim)
        self.output = nn.Linear(feature_dim, CLASSES)

    def forward(self, x):
        features = self.features(self.conv_layer(x).flatten(1))
        return features, self.output(features)


class FullyConnected(nn.Module):
    """`--network mlp`: `[batch, 1, 28, 28]` → features `[batch, feature_dim]` and raw scores `[batch, 10]`."""

    def __init__(self, feature_dim=2):
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Linear(28 * 28, 512),
            nn.PReLU(),
            nn.Linear(512, 256),
            nn.PReLU(),
        )
        self.features = nn.Linear(256, feature_dim)
        self.output = nn.Linear(feature_dim, CLASSES)

    def forward(self, x):
        features = self.features(self.hidden(x.flatten(1)))
        return features, self.output(features)


NETWORKS = {"cnn": Network, "mlp": FullyConnected}


def center_distances(features, labels, centers, counts):
    """Per sample ‖f_i − c_{y_i}‖² / n_{y_i}, shape `[batch]`; `counts` `[10]` are those of the global batch."""
    return (features - centers[labels]).square().sum(1) / counts[labels]


def class_counts(labels):
    return torch.bincount(labels, minlength=CLASSES)

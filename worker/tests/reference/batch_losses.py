"""The losses over the whole batch as their papers define them, in plain autograd, each with its default parameters.

`TERMS[name](features, labels, centers, weight)` is the mean over the samples that take part; `centers` `[C, d]` and `weight`
`[C, d]` (`output.weight`) are used by some.
"""

import math

import torch
import torch.nn.functional as F


def supcon(features, labels, centers, weight, temperature=0.1):
    """Khosla et al. 2020, L_out of equation 2, one view a sample."""
    units = F.normalize(features)
    others = ~torch.eye(len(labels), dtype=torch.bool)
    scores = (units @ units.T / temperature).masked_fill(~others, -math.inf)
    positive = (labels[:, None] == labels) & others
    anchors = positive.any(1)
    logarithms = F.log_softmax(scores, 1).masked_fill(~positive, 0)
    return -(logarithms.sum(1)[anchors] / positive.sum(1)[anchors]).mean()


def hardest(features, labels):
    """Distance to the farthest positive and to the nearest negative of each sample that has both."""
    distance = (features[:, None] - features).square().sum(2)
    alike = labels[:, None] == labels
    positive = alike & ~torch.eye(len(labels), dtype=torch.bool)
    anchors = positive.any(1) & ~alike.all(1)
    far = distance.masked_fill(~positive, -math.inf).max(1).values[anchors]
    near = distance.masked_fill(alike, math.inf).min(1).values[anchors]
    return far.sqrt(), near.sqrt()


def triplet(features, labels, centers, weight, margin=0.3):
    """Hermans et al. 2017, L_BH."""
    far, near = hardest(features, labels)
    return F.relu(margin + far - near).mean()


def triplet_soft(features, labels, centers, weight):
    """The same with their soft margin."""
    far, near = hardest(features, labels)
    return F.softplus(far - near, threshold=math.inf).mean()


def contrastive_center(features, labels, centers, weight, delta=1.0):
    """Qi & Su 2017, L_ct-c, as a mean."""
    squares = (features[:, None] - centers).square().sum(2)
    own = squares.gather(1, labels[:, None])[:, 0]
    return (0.5 * own / (squares.sum(1) - own + delta)).mean()


def arcface(features, labels, centers, weight, scale=30.0, margin=0.5):
    """Deng et al. 2019; beyond θ = π − m the line that the reference implementations take."""
    cosines = F.normalize(features) @ F.normalize(weight).T
    own = cosines.gather(1, labels[:, None])
    turned = own * math.cos(margin) - (1 - own.square()).sqrt() * math.sin(margin)
    turned = torch.where(own < -math.cos(margin), own - margin * math.sin(margin), turned)
    return F.cross_entropy(scale * cosines.scatter(1, labels[:, None], turned), labels)


def cosface(features, labels, centers, weight, scale=30.0, margin=0.35):
    """Wang et al. 2018."""
    cosines = F.normalize(features) @ F.normalize(weight).T
    return F.cross_entropy(scale * (cosines - margin * F.one_hot(labels, len(weight))), labels)


TERMS = {
    "supcon": supcon,
    "triplet": triplet,
    "triplet-soft": triplet_soft,
    "contrastive-center": contrastive_center,
    "arcface": arcface,
    "cosface": cosface,
}


def parse(loss):
    """`softmax + 0.5*supcon` as [("softmax", 1.0), ("supcon", 0.5)]; `center` alone has its softmax loss."""
    terms = []
    for part in ("softmax + center" if loss == "center" else loss).split("+"):
        weight, _, name = part.strip().rpartition("*")
        terms.append((name.strip(), float(weight or 1)))
    return terms

"""Dense ResNet18 and VGG16 in PyTorch, timed as they answer. One JSON line a figure.

  python torch_dense.py infer [--threads T] [--repeat N]

The networks have the shapes of the experiments resnet18-v3 and vgg16-v3: pictures of 3 x 32 x 32, ten classes, 16 convolutions in
the VGG. Batch norms use stored statistics, which is the fastest form there is.
"""
import argparse
import json
import statistics
import time

import torch
from torch import nn


def conv(channels_in, channels_out, kernel=3, stride=1):
    layer = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)
    return [layer, nn.BatchNorm2d(channels_out)]


class Block(nn.Module):
    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        first = conv(channels_in, channels_out, 3, stride)
        self.branch = nn.Sequential(*first, nn.ReLU(), *conv(channels_out, channels_out))
        same = stride == 1 and channels_in == channels_out
        self.skip = nn.Identity() if same else nn.Sequential(*conv(channels_in, channels_out, 1, stride))

    def forward(self, x):
        return torch.relu(self.branch(x) + self.skip(x))


def resnet18():
    layers, channels = [*conv(3, 64), nn.ReLU()], 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Block(channels, width, stride), Block(width, width, 1)]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def vgg16():
    layers, channels = [], 3
    for count, width in ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)):
        for _ in range(count):
            layers += [*conv(channels, width), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=["infer"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name, make in (("resnet18", resnet18), ("vgg16", vgg16)):
        network = make().eval()
        for batch in (1, 64):
            images, seconds = torch.randn(batch, 3, 32, 32), []
            with torch.no_grad():
                network(images)
                for _ in range(options.repeat):
                    start = time.perf_counter()
                    network(images)
                    seconds.append(time.perf_counter() - start)
            figure = {"what": f"{name} forward, batch {batch}", "median_s": statistics.median(seconds)}
            print(json.dumps(figure), flush=True)


main()

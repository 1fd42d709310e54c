//! MNIST and Fashion-MNIST, found wherever they can be had and checked by their hash

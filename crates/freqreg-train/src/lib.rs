//! Training, evaluation and reports for frequency-regularised networks

"""Docstring sections that both recurrent nets for sequences share."""

from sklearn_ext.neural_network._net_docstrings import documented_family

__all__ = ["documented_sequence_net"]

_PARAMETERS = """\
    cell : {"mingru", "gru", "lstm", "rnn"}, default="mingru"
        Recurrent cell: the minimal gated recurrent unit [1]_, whose gates see the input only, so
        that it is the fastest here; the gated recurrent unit; the long short-term memory; the
        plain recurrent net without gates.
    hidden_size : int, default=32
        Size of the state of one direction.
    num_layers : int, default=1
        Recurrent layers, one upon another.
    bidirectional : bool, default=True
        Whether the net also walks from the end of each sequence. A net that walks ahead only can
        follow a sequence while it grows, see `stream`.
    pooling : {"last", "mean", "max", "attention"} or tuple of them, default=("mean", "max", \
"attention")
        What the states of all steps become. "last" is the state at the end of each way; "attention"
        a mean with weights that are learned. Several ones are put side by side.
    stem_channels : int, default=32
        Channels of four dilated convolutions in front of the recurrence; 0 for none. Their outputs
        are pooled too, beside the states.
    max_steps : int or None, default=128
        Behind the convolutions the maximum over windows leaves at most so many steps of the longest
        training sequence. None leaves all of them, as does ``stem_channels=0``.
    nonlinearity : {"tanh", "relu"}, default="tanh"
        Of the cell "rnn".
    recurrent_init : {"orthogonal", "identity", "uniform"}, default="orthogonal"
        First recurrent weights. "identity" goes with ``nonlinearity="relu"`` [2]_; "uniform" is the
        start of torch for all weights of its layers, with a memory of two steps. The cell "mingru"
        has no recurrent weights.
    gate_bias : "chrono" or float, default="chrono"
        First bias of the gates that keep the state. "chrono" draws it so that the units remember
        for 2 steps up to the length of the longest training sequence [3]_; 0 is the start of torch.
    axis_order : {"channels_last", "channels_first"}, default="channels_last"
        Whether 3-D input is (n_samples, n_timesteps, n_channels), or has its channels before its
        steps as in aeon and sktime; likewise for each of several arrays.
    alpha : float, default=0.01
        Weight decay: every step takes the share ``learning rate * alpha`` off each weight, biases
        excepted, where MLPRegressor adds its alpha to the loss.
    batch_size : int or "auto", default="auto"
        Sequences that one step sees. "auto" is n / 8, but no more than 64 or, with convolutions,
        8192 / T for a longest sequence of T steps, and at least 8. A batch is made of sequences of
        about the same length.
    learning_rate_init : float, default=0.002
        Largest learning rate, > 0.
    max_iter : int or "auto", default="auto"
        Epochs. "auto" is as many as give 450 gradient steps, but at least 5, times (n / 1000)^0.5
        for n > 1000 sequences; without convolutions no fewer than 1000, for nothing but the
        recurrence can find what is far away. Times T / 32 if the longest sequence has T < 32
        steps, but at least times n / 1000 within 0.15 and 0.5.
    early_stopping : bool or "auto", default=False
        Whether sequences are held out, the run ends when their loss no longer falls, and the
        weights of the best epoch are kept. Members hold out different sequences in turn. "auto"
        does so for more than 2000 sequences. A `validation_set` given to `fit` takes the place of
        held-out sequences, and is watched in any case.
    validation_fraction : float, default=0.1
        Share of sequences that each member holds out, in (0, 1).
    dropout : float, default=0.2
        Probability, in [0, 1), that a pooled value, or between recurrent layers a unit at all steps
        of a sequence, is left out of a step.
    n_members : int, default=3
        Nets that are trained side by side and averaged. They differ in their initial weights, in
        the order of sequences and in the sequences held out.
    precision : {"auto", "float32", "float64", "bf16-mixed"}, default="auto"
        Precision of the training steps. "auto" is the dtype of X for full batches and float32 for
        mini-batches, whose noise is far larger. Predictions are computed in
        the dtype of X whatever it is.
"""

_ATTRIBUTES = """\
    n_outputs_ : int
        Number of outputs.
    n_parameters_ : int
        Number of trained parameters of all members.
    net_ : skorch.NeuralNet
        The trained net. ``net_.module_`` maps a dictionary of padded "values" (n_samples,
        n_timesteps, n_channels) and "lengths" to raw outputs (n_samples, n_members, n_outputs).
    n_channels_ : int
        Number of channels.
    n_features_in_ : int
        Number of columns of a matrix, else of channels.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a data frame, where all are strings.
"""

_NOTES = """\
    X is a matrix (n_samples, n_timesteps) of one channel; a 3-D array (n_samples, n_timesteps,
    n_channels), where steps at the end that are NaN in all channels are padding; or a list, object
    array, Series or column of a data frame of arrays of shape (n_timesteps,) or (n_timesteps,
    n_channels); several columns of arrays are the channels. Lengths may differ inside of X and
    between `fit` and `predict`, except for the columns of a matrix. Padding changes nothing: what
    is predicted for a sequence does not depend on the others.

    Channels are standardised inside. A net that walks both ways also sees each sequence, and its
    changes from step to step, standardised by their own mean and deviation.

    `sample_weight` counts repetitions exactly: weight 2 is the sequence twice, weight 0 no
    sequence. Nor does the order of the sequences matter: `fit` first makes one of equal sequences
    with equal targets and sorts them, unless ``shuffle=False`` asks for batches in the order given.

    References
    ----------
    .. [1] L. Feng, F. Tung, M. O. Ahmed, Y. Bengio and H. Hajimirsadeghi, "Were RNNs all we
       needed?", arXiv:2410.01201, 2024; section 3.1.2.
    .. [2] Q. V. Le, N. Jaitly and G. E. Hinton, "A simple way to initialize recurrent networks of
       rectified linear units", arXiv:1504.00941, 2015; section 2.
    .. [3] C. Tallec and Y. Ollivier, "Can recurrent neural networks warp time?", ICLR 2018,
       arXiv:1804.11188; eq. 16.
"""

documented_sequence_net = documented_family(
    _PARAMETERS,
    _ATTRIBUTES,
    _NOTES,
    samples="sequences",
    seen="sequences",
    units="",
    score=", the mean over members",
    smoothing="0.1",
)

//! `.pt` files that accident or intent made: each is an error, none a panic, and nothing is executed.

mod pt_writer;

use freqreg_file::{Error, Fault, Limits, PtFault, parse_pt};
use pt_writer::{Entry, Pickle, entries, floats, longs, pt, rich, rich_entries, zip, zip64};

fn refused(file: &[u8]) -> Error {
    parse_pt(file, &Limits::default()).expect_err("the file was accepted")
}

fn pt_fault(file: &[u8]) -> PtFault {
    match refused(file) {
        Error::Pt(fault) => fault,
        other => panic!("{other:?}"),
    }
}

/// The fault of the tensor `t`, alone in its file.
fn fault(tensor: impl FnOnce(Pickle) -> Pickle, storages: &[&[u8]]) -> Fault {
    match refused(&pt(&Pickle::only(tensor), storages)) {
        Error::Tensor { tensor, fault } if tensor == "t" => fault,
        other => panic!("{other:?}"),
    }
}

/// What is wrong with a pickle that is no well-formed one.
fn malformed(pickle: &[u8]) -> &'static str {
    match pt_fault(&pt(pickle, &[])) {
        PtFault::Pickle { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_would_be_executed_is_refused_by_name() {
    let calls = [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("__builtin__", "exec"),
        ("torch", "load"),
        ("torch.nn.modules.linear", "Linear"),
        ("torch._utils", "_rebuild_tensor_v3"),
        ("collections", "OrderedDict.fromkeys"),
        ("collections.abc", "OrderedDict"),
        ("", ""),
    ];
    for (module, name) in calls {
        let call = |pickle: Pickle| pickle.global(module, name).text("true").raw(b"\x85R");
        let alone = call(Pickle::new()).raw(b".").0;
        for pickle in [alone, Pickle::only(call)] {
            match pt_fault(&pt(&pickle, &[])) {
                PtFault::Global { name: found, .. } => {
                    assert_eq!(found, format!("{module}.{name}"))
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let message = refused(&pt(&Pickle::new().global("os", "system").0, &[])).to_string();
    assert!(
        message.starts_with("the file wants `os.system`"),
        "{message}"
    );
}

#[test]
fn known_names_take_only_the_arguments_that_torch_gives() {
    let calls: [&dyn Fn(Pickle) -> Pickle; 12] = [
        &|p| p.global("collections", "OrderedDict").ints(&[1]),
        &|p| p.global("torch", "Size").ints(&[1]),
        &|p| p.global("torch", "Size").ints(&[-1]).raw(b"\x85"),
        &|p| p.global("torch", "Size").ints(&[1; 9]).raw(b"\x85"),
        &|p| p.global("torch", "FloatStorage").ints(&[1]),
        &|p| {
            p.global("torch.serialization", "_get_layout")
                .text("torch.sparse_csr")
                .raw(b"\x85")
        },
        &|p| p.global("torch._utils", "_rebuild_tensor_v2").raw(b")"),
        &|p| {
            p.global("torch._utils", "_rebuild_tensor_v2")
                .raw(b"(NNNNNNt")
        },
        &|p| {
            p.global("torch._utils", "_rebuild_parameter")
                .raw(b"NNN\x87")
        },
        &|p| {
            p.global("torch._utils", "_rebuild_sparse_tensor")
                .raw(b"NN\x86")
        },
        &|p| p.text("os.system").raw(b")"),
        &|p| p.global("collections", "OrderedDict").raw(b"N"),
    ];
    for call in calls {
        malformed(&call(Pickle::new()).raw(b"R.").0);
    }
    // A seventh argument says that the numbers are meant negated.
    let negated = |p: Pickle| {
        p.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"(")
            .storage("Float", "0", 1)
            .int(0)
            .ints(&[1])
            .ints(&[1])
            .raw(b"\x89")
            .ordered_dict()
            .raw(b"}")
            .text("neg")
            .raw(b"\x88stR")
    };
    malformed(&Pickle::only(negated));
    let more_strides = |p: Pickle| p.view("Float", "0", 4, 0, &[2], &[2, 1]);
    malformed(&Pickle::only(more_strides));
    for id in [&b"N"[..], b")", b"(X\x07\0\0\0storageNNNNt"] {
        malformed(&Pickle::new().raw(id).raw(b"Q.").0);
    }
}

#[test]
fn other_instructions_are_refused() {
    const KNOWN: &[u8] = b".(NJKMGXct)}usqrhjQRb\x80\x85\x86\x87\x88\x89\x8a";
    for opcode in (0..=255).filter(|opcode| !KNOWN.contains(opcode)) {
        // With all that INST, OBJ, NEWOBJ, STACK_GLOBAL and EXT1 could ask for behind and before them.
        let pickle = Pickle::new().raw(b"}(").text("os").text("system").raw(b")");
        let at = pickle.0.len();
        let pickle = pickle.raw(&[opcode]).raw(b"os\nsystem\n.").0;
        match pt_fault(&pt(&pickle, &[])) {
            PtFault::Opcode {
                offset,
                opcode: found,
            } => assert_eq!((offset, found), (at, opcode)),
            other => panic!("{opcode:#04x}: {other:?}"),
        }
    }
}

#[test]
fn malformed_pickles() {
    let cases: [(&[u8], &str); 21] = [
        (b"", "ends before"),
        (b"\x80\x04.", "protocol"),
        (b".", "too few"),
        (b"N.N", "follows"),
        (b"(N.", ""),
        (b"N(.", "too few"),
        (b"N\x86.", "too few"),
        (b"N(N\x86.", "too few"),
        (b"t.", "without a beginning"),
        (b"u.", "without a beginning"),
        (b"}(Nu.", "key without a value"),
        (b")NNs.", "else than a dictionary"),
        (b")(NNu.", "else than a dictionary"),
        (b"})b.", "attributes"),
        (b")}b.", "attributes"),
        (b"Nq\x01.", "out of turn"),
        (b"h\0.", "never put"),
        (b"j\xff\xff\xff\xff.", "never put"),
        (b"X\xff\xff\xff\xffab.", "ends before"),
        (b"X\x01\0\0\0\xff.", "UTF-8"),
        (b"\x8a\x09123456789.", "64 bits"),
    ];
    for (pickle, expected) in cases {
        let file = pt(pickle, &[]);
        if pickle == b"(N." {
            // A mark that nothing collects to, as Python allows.
            assert!(matches!(
                pt_fault(&file),
                PtFault::NotAStateDict { found: "None" }
            ));
        } else {
            let what = malformed(pickle);
            assert!(what.contains(expected), "{pickle:?}: {what}");
        }
    }
}

#[test]
fn what_is_no_state_dict() {
    let fault = pt_fault(&pt(
        &Pickle::new().tensor("Float", "0", &[1]).raw(b".").0,
        &[],
    ));
    assert!(
        matches!(fault, PtFault::NotAStateDict { found: "a tensor" }),
        "{fault:?}"
    );
    let fault = pt_fault(&pt(b"}K\x01Ns.", &[]));
    assert!(matches!(fault, PtFault::NotAStateDict { .. }), "{fault:?}");

    let things: [(&[u8], &str); 5] = [
        (b"}", "a dictionary"),
        (b"K\x07", "an integer"),
        (b"\x88", "a truth value"),
        (b")", "a tuple"),
        (b"ccollections\nOrderedDict\n", "a function or class"),
    ];
    for (thing, expected) in things {
        match fault_of(|p| p.raw(thing)) {
            Fault::NotATensor { found } => assert_eq!(found, expected),
            other => panic!("{other:?}"),
        }
    }
    // A dictionary that holds itself ends no later.
    let itself = Pickle::new().raw(b"}q\0").text("t").raw(b"h\0s.").0;
    assert!(matches!(refused(&pt(&itself, &[])), Error::Tensor { .. }));

    let pickle = Pickle::new()
        .raw(b"}(")
        .text("a")
        .tensor("Float", "0", &[1]);
    let pickle = pickle.text("a").tensor("Float", "0", &[1]).raw(b"u.").0;
    let error = refused(&pt(&pickle, &[&[0; 4]]));
    assert!(
        matches!(error, Error::DuplicateName { ref name } if name == "a"),
        "{error:?}"
    );
}

fn fault_of(thing: impl FnOnce(Pickle) -> Pickle) -> Fault {
    fault(thing, &[])
}

#[test]
fn nothing_recurses() {
    // A tuple in a tuple, a million times; and marks, of which there is an end.
    let mut nested = Pickle::new().raw(b")");
    nested.0.extend([0x85; 1_000_000]);
    let fault = pt_fault(&pt(&nested.raw(b".").0, &[]));
    assert!(
        matches!(fault, PtFault::NotAStateDict { found: "a tuple" }),
        "{fault:?}"
    );
    for deep in [b'(', b'N', b')', b'}'] {
        assert!(malformed(&vec![deep; 1_000_000]).contains("stack"));
    }
}

#[test]
fn cut_short_anywhere() {
    for whole in [zip(&rich_entries()), zip64(&rich_entries())] {
        for length in 0..whole.len() {
            refused(&whole[..length]);
        }
    }
    let (pickle, _) = rich();
    for length in 0..pickle.len() {
        let mut entries = rich_entries();
        entries[0] = Entry::stored("net/data.pkl", &pickle[..length]);
        match pt_fault(&zip(&entries)) {
            PtFault::Pickle { .. } => {}
            other => panic!("{length}: {other:?}"),
        }
    }
}

#[test]
fn other_files() {
    for file in [&b""[..], b"PK", b"\xFDFRQ\x01", b"PAR1", b"{\"a\":1}"] {
        let fault = pt_fault(file);
        assert!(matches!(fault, PtFault::NotZip { .. }), "{fault:?}");
    }
    let legacy = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    assert!(matches!(pt_fault(legacy), PtFault::Legacy));
    assert!(matches!(
        pt_fault(b"PK\x03\x04 and no more"),
        PtFault::Zip { .. }
    ));
    let other = zip(&[
        Entry::stored("a/b/data.pkl", b"}."),
        Entry::stored("a/data", b""),
    ]);
    assert!(matches!(pt_fault(&other), PtFault::Missing { .. }));
}

#[test]
fn archives_that_are_not_what_torch_writes() {
    let pickle = Pickle::only(|p| p.tensor("Float", "0", &[2]));
    let storage = floats(&[1.0, 2.0]);
    let with = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = entries(&pickle, &[&storage]);
        change(&mut entries);
        zip(&entries)
    };
    assert!(parse_pt(&with(&|_| ()), &Limits::default()).is_ok());

    let big = pt_fault(&with(&|e| e[1] = Entry::stored("net/byteorder", b"big")));
    assert!(
        matches!(big, PtFault::ByteOrder { ref found } if found == "big"),
        "{big:?}"
    );
    let long = pt_fault(&with(&|e| {
        e[1] = Entry::stored("net/byteorder", &[b'a'; 17])
    }));
    assert!(matches!(long, PtFault::Size { got: 17, .. }), "{long:?}");
    let twice = pt_fault(&with(&|e| e.push(e[2].clone())));
    assert!(matches!(twice, PtFault::Twice { .. }), "{twice:?}");
    let two = pt_fault(&with(&|e| e.push(Entry::stored("other/data.pkl", b"}."))));
    assert!(matches!(two, PtFault::Twice { .. }), "{two:?}");
    let missing = pt_fault(&with(&|e| e[2].name = "net/data/1".into()));
    assert!(
        matches!(missing, PtFault::Missing { ref name } if name == "net/data/0"),
        "{missing:?}"
    );
    for (bytes, length) in [(&storage[..7], 7), (&[0; 9][..], 9), (&[], 0)] {
        let other = pt_fault(&with(&|e| e[2] = Entry::stored("net/data/0", bytes)));
        assert!(
            matches!(other, PtFault::Size { expected: 8, got, .. } if got == length),
            "{other:?}"
        );
    }
    let damaged = pt_fault(&with(&|e| e[2].packed[0] ^= 1));
    assert!(matches!(damaged, PtFault::Checksum { .. }), "{damaged:?}");
    for (method, flags) in [(12, 0), (93, 0), (0, 1)] {
        let packed = pt_fault(&with(&|e| (e[2].method, e[2].flags) = (method, flags)));
        assert!(matches!(packed, PtFault::Packed { .. }), "{packed:?}");
    }
    // Deflated entries that hold more, less or other than they claim.
    let deflated = |e: &mut Vec<Entry>, bytes: &[u8]| {
        e[2] = Entry {
            size: 8,
            ..Entry::deflated("net/data/0", bytes)
        };
    };
    for n in [0, 7, 9, 1 << 20] {
        let other = pt_fault(&with(&|e| deflated(e, &vec![0; n])));
        let got = n.min(9) as u64;
        assert!(
            matches!(other, PtFault::Size { expected: 8, got: g, .. } if g == got),
            "{other:?}"
        );
    }
    let garbage = pt_fault(&with(&|e| {
        e[2].method = 8;
        e[2].packed = vec![0xff; 8];
    }));
    assert!(matches!(garbage, PtFault::Zip { .. }), "{garbage:?}");
}

#[test]
fn indices_outside_the_shape() {
    for (bad, axis, position) in [
        (4, 0, 1),
        (-1, 0, 1),
        (i64::MIN, 0, 1),
        (i64::MAX, 0, 1),
        (5, 1, 2),
    ] {
        let mut indices = [0, 1, 0, 0, 1, 2];
        indices[3 * axis + position] = bad;
        match fault(
            |p| p.sparse(0, &[4, 5], 3),
            &[&longs(&indices), &floats(&[0.0; 3])],
        ) {
            Fault::IndexRange {
                shape,
                axis: a,
                position: at,
                index,
            } => {
                assert_eq!((shape, a, at, index), (vec![4, 5], axis, position, bad));
            }
            other => panic!("{other:?}"),
        }
    }
    // The order of an empty tensor's axes does not matter: no index lies in it.
    let empty = fault(
        |p| p.sparse(0, &[4, 0], 1),
        &[&longs(&[0, 0]), &floats(&[0.0])],
    );
    assert!(
        matches!(empty, Fault::IndexRange { axis: 1, .. }),
        "{empty:?}"
    );
    // Nor where the other axes cannot be multiplied.
    let vast = fault(
        |p| p.sparse(0, &[1 << 40, 1 << 40, 0], 1),
        &[&longs(&[(1 << 40) - 1, 0, 0]), &floats(&[0.0])],
    );
    assert!(
        matches!(vast, Fault::IndexRange { axis: 2, .. }),
        "{vast:?}"
    );
}

#[test]
fn sparse_parts_that_do_not_fit() {
    type Parts = (&'static str, [i64; 2], &'static [i64], &'static [i64]);
    let cases: [Parts; 5] = [
        ("Long", [2, 3], &[2], &[4, 5]),
        ("Long", [2, 3], &[3, 1], &[4, 5]),
        ("Long", [1, 3], &[3], &[4, 5]),
        ("Long", [2, 3], &[3], &[4, 5, 6]),
        ("Int", [2, 3], &[3], &[4, 5]),
    ];
    for (kind, indices, values, shape) in cases {
        let tensor = |p: Pickle| {
            p.begin_sparse()
                .tensor(kind, "0", &indices)
                .tensor("Float", "1", values)
                .end_sparse(shape)
        };
        let fault = fault(tensor, &[]);
        assert!(matches!(fault, Fault::Sparse { .. }), "{fault:?}");
    }
    let scalar = |p: Pickle| {
        let parts = p.begin_sparse().tensor("Long", "0", &[0, 1]);
        parts.tensor("Float", "1", &[1]).end_sparse(&[])
    };
    assert!(matches!(fault(scalar, &[]), Fault::AxisCount { got: 0 }));
}

#[test]
fn tensors_beyond_their_storage() {
    let cases: [(i64, &[i64], &[i64]); 8] = [
        (0, &[5], &[1]),
        (1, &[4], &[1]),
        (4, &[], &[]),
        (0, &[2, 2], &[3, 1]),
        (0, &[5], &[0]),
        (0, &[2], &[i64::MAX]),
        (i64::MAX, &[2], &[i64::MAX]),
        (0, &[2, 2, 2], &[0, 0, 0]),
    ];
    for (offset, shape, strides) in cases {
        let fault = fault(
            |p| p.view("Float", "0", 4, offset, shape, strides),
            &[&[0; 16]],
        );
        assert!(
            matches!(fault, Fault::Strides { available: 4, .. }),
            "{shape:?}: {fault:?}"
        );
    }
    let huge = fault(
        |p| p.view("Float", "0", 4, 0, &[1 << 40, 1 << 40], &[0, 0]),
        &[],
    );
    assert!(matches!(huge, Fault::Shape { .. }), "{huge:?}");
}

#[test]
fn limits_hold() {
    let file = zip(&rich_entries());
    // 20 + 6 + 6 + 2 + 1 elements; 3 + 6 numbers sparse, then 6 + 6 + 2 + 1 values.
    let (pickle, _) = rich();
    let exact = Limits {
        tensors: 5,
        kept: 24,
        elements: 35,
        table_bytes: pickle.len(),
    };
    assert!(parse_pt(&file, &exact).is_ok());
    let limits = [
        (
            "tensors",
            Limits {
                tensors: 4,
                ..exact
            },
        ),
        ("values", Limits { kept: 23, ..exact }),
        (
            "weights",
            Limits {
                elements: 34,
                ..exact
            },
        ),
        (
            "bytes of data.pkl",
            Limits {
                table_bytes: pickle.len() - 1,
                ..exact
            },
        ),
    ];
    for (name, limits) in limits {
        match parse_pt(&file, &limits) {
            Err(Error::Limit { what, .. }) => assert_eq!(what, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    // A byte of a pickle can ask for a hundred bytes of memory.
    let mut nested = Pickle::new().raw(b")");
    nested.0.extend([0x85; 900]);
    match parse_pt(&pt(&nested.raw(b".").0, &[]), &exact) {
        Err(Error::Limit {
            what: "bytes of memory to describe its tensors",
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    // A small view of a large storage pays for the storage.
    let small = pt(
        &Pickle::only(|p| p.view("Float", "0", 25, 0, &[1], &[1])),
        &[&[0; 100]],
    );
    match parse_pt(&small, &exact) {
        Err(Error::Limit {
            what: "stored numbers",
            limit: 24,
            got: 25,
        }) => {}
        other => panic!("{other:?}"),
    }
    // Sparse claims cost nothing to make: a shape within 64 bits, and one beyond.
    let (indices, values) = (longs(&[0, 0]), floats(&[1.0]));
    let claim = |shape: &[i64]| {
        refused(&pt(
            &Pickle::only(|p| p.sparse(0, shape, 1)),
            &[&indices, &values],
        ))
    };
    assert!(matches!(
        claim(&[1 << 31, 1 << 31]),
        Error::Limit {
            what: "weights",
            ..
        }
    ));
    assert!(matches!(
        claim(&[1 << 40, 1 << 40]),
        Error::Tensor {
            fault: Fault::Shape { .. },
            ..
        }
    ));
}

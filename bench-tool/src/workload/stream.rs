//! One seed gives one stream of requests, whatever the way in which they are written: the first 10,000 of each template, as they were first
//! measured. Who changes how a request is written keeps them; who changes what is drawn measures them anew and says so.

use super::data::{Pools, seed_of};
use super::numbers::Counted;
use super::page::Page;
use super::place::Vocabulary;
use super::shape::{Quantiles, Ranks, Shape, Shapes};
use super::template::{Filler, Template};
use crate::random::Random;
use std::sync::Arc;

const REQUESTS: u64 = 10_000;
const SEED: u64 = 20_261_130;

/// A template; length and hash of its stream, with values that are drawn and with values that follow from their keys; the hash of what its requests are about.
type Known = (&'static str, [(usize, u64); 2], u64);

/// Measured when requests were still put together argument by argument.
const STREAMS: [Known; 18] = [
    (
        "PING",
        [
            (140_000, 0xd7db_1c12_8526_d397),
            (140_000, 0xd7db_1c12_8526_d397),
        ],
        0xe27b_b60b_b31a_418e,
    ),
    (
        "SET key:{rand:100000} {data:64}",
        [
            (988_906, 0x9214_c5ed_b28c_cf87),
            (988_927, 0x2d51_706d_da57_9256),
        ],
        0xefff_b48f_c2a1_d095,
    ),
    (
        "GET key:{rand:100000}",
        [
            (278_927, 0x069d_2a69_bfe7_deb0),
            (278_927, 0x069d_2a69_bfe7_deb0),
        ],
        0xefff_b48f_c2a1_d095,
    ),
    (
        "GET k{seq}",
        [
            (238_890, 0x5c13_7262_857c_a777),
            (238_890, 0x5c13_7262_857c_a777),
        ],
        0x823a_3ccb_f6bb_266d,
    ),
    (
        "SET {key} {data:1}",
        [
            (328_910, 0x2b0c_c25d_5257_ac1c),
            (328_929, 0x0491_0abc_da3c_b694),
        ],
        0xd095_62d2_76bd_0d9b,
    ),
    (
        "SET {key:zipf:100000} {data:lognormal:100:0.8}",
        [
            (1_708_831, 0xb6d8_7d3e_b6a4_9475),
            (1_687_104, 0x6a6a_a80c_86df_bad8),
        ],
        0xf12b_701a_c343_3fa9,
    ),
    (
        "SET {key:hot:1000:10:80}:x {data:uniform:1:700,compress=40}",
        [
            (3_892_736, 0x4758_0724_e626_20d8),
            (3_866_659, 0x713c_3bc3_afd4_1457),
        ],
        0x6d17_fd6f_cc73_eba9,
    ),
    (
        "GET {key:latest:500:0.9}",
        [
            (269_822, 0x283d_66a6_8a17_3bf2),
            (269_822, 0x283d_66a6_8a17_3bf2),
        ],
        0xb250_5585_5b80_1ce9,
    ),
    (
        "SET {key:insert:500} v",
        [
            (340_000, 0x1ccf_8c9f_bdfd_1672),
            (340_000, 0x1ccf_8c9f_bdfd_1672),
        ],
        0xb0a2_3a54_41ba_4a61,
    ),
    (
        "HSET {key:normal:1000} {field:5} {data:100} {field:uniform:5:9} x{data:3}y",
        [
            (1_719_942, 0x304e_560d_6f8e_a6f9),
            (1_719_944, 0x9e38_98af_57d4_7993),
        ],
        0xc949_abf0_6894_ccab,
    ),
    (
        "MSET {key:100} {data:20} {key:100} {data:20000}",
        [
            (200_748_021, 0x14ca_3806_3c9c_80cd),
            (200_747_994, 0x27b4_02f7_2b03_f072),
        ],
        0x1964_9ef5_0d4e_5d10,
    ),
    (
        "ZADD zset:{rand:10} {int:uniform:1000000000000:9000000000000} {member:100000}",
        [
            (648_894, 0xc84d_ea8d_e500_a850),
            (648_894, 0xc84d_ea8d_e500_a850),
        ],
        0xcd1e_e93d_aab0_2bdb,
    ),
    (
        "GET a{rand:10}b{rand:1000000}c ; SET a{seq} {data:5} ; EXPIRE a{int:seq:100} {rand:60}",
        [
            (974_058, 0x630c_30cf_aa33_ba70),
            (974_221, 0x51f0_2807_7eab_317a),
        ],
        0xe46d_4136_8a3a_9d33,
    ),
    (
        "SET fixed {data:65}",
        [
            (960_000, 0x9f78_e09e_9d21_d3da),
            (960_000, 0x5e24_88a5_0eed_bac0),
        ],
        0xe972_63d2_7f86_a8f7,
    ),
    (
        "SET {{tag}}{rand:50000} {data:32}",
        [
            (685_856, 0x06f7_62fd_3caf_cffb),
            (685_868, 0xd749_6106_fa49_630d),
        ],
        0xeb4d_92eb_4ecb_751f,
    ),
    (
        "GET {key:@ranks} ; SET x {data:@sizes}",
        [
            (3_390_594, 0x1eed_a229_3e2c_918c),
            (3_357_550, 0xacda_be69_b0cc_ffb6),
        ],
        0x0e0c_514b_5a63_a883,
    ),
    (
        "SET 0123456789012345678901234567890123456789012345678901234567890123456789 {rand:11}",
        [
            (970_939, 0x6199_2ccd_86e6_9de0),
            (970_939, 0x6199_2ccd_86e6_9de0),
        ],
        0x3e4c_172c_2536_e409,
    ),
    (
        "SET {rand:100}{data:8} {rand:1}",
        [
            (367_976, 0xf1cf_75fd_4b72_884a),
            (368_000, 0xce93_7d7f_f7eb_d3f4),
        ],
        0x9e32_a12c_29e5_f68b,
    ),
];

fn vocabulary() -> Vocabulary {
    let ranks = Ranks::new(vec![(1, 0.3), (3, 0.45), (10, 1.0)]).unwrap();
    let sizes = Quantiles::new(vec![(0.0, 3), (0.5, 64), (1.0, 1000)]).unwrap();
    let shapes = [
        ("ranks".to_owned(), Shape::Ranks(Arc::new(ranks))),
        ("sizes".to_owned(), Shape::Quantiles(Arc::new(sizes))),
    ];
    Vocabulary {
        keys: 1000,
        shapes: Shapes::from(shapes),
    }
}

/// Length and hash of the requests, and the hash of what they are about.
fn stream(template: &Template, by_key: bool) -> ((usize, u64), u64) {
    let pools = Arc::new(Pools::new(template.data()));
    let mut filler = Filler::new(Random::new(SEED), pools, by_key, by_key);
    let (mut page, mut abouts) = (Page::default(), Vec::new());
    for own in 0..REQUESTS {
        let counted = Counted {
            own,
            given: own + 1,
        };
        let about = template.write(&mut page, &mut filler, counted);
        abouts.extend_from_slice(&about.seed.to_le_bytes());
        abouts.extend_from_slice(&about.slot.unwrap_or(u16::MAX).to_le_bytes());
    }
    ((page.rest().len(), seed_of(page.rest())), seed_of(&abouts))
}

#[test]
fn requests_are_those_of_the_version_before() {
    for (text, streams, abouts) in STREAMS {
        let template = Template::parse(text, &vocabulary()).unwrap();
        let (drawn, _) = stream(&template, false);
        let (by_key, about) = stream(&template, true);
        assert_eq!(([drawn, by_key], about), (streams, abouts), "{text}");
    }
}

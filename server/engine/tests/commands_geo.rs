//! Searching places: that all that is near is found, whatever the encoding, and what searching propagates.

mod support;

use cairn_engine::base::random::Random;
use cairn_engine::value::geohash::{Place, decode, encode};
use support::Bench;

/// Places around a few towns and anywhere, as the server stores them.
fn stored(bench: &mut Bench, count: usize, random: &mut Random) -> Vec<(String, Place)> {
    let mut places = Vec::new();
    for i in 0..count {
        let wide = i % 3 == 0;
        let (longitude, latitude) = if wide {
            ((random.unit() - 0.5) * 360.0, (random.unit() - 0.5) * 120.0)
        } else {
            (13.4 + random.unit() * 3.0, 36.0 + random.unit() * 3.0)
        };
        let member = format!("m{i}");
        bench.line(&format!("GEOADD g {longitude} {latitude} {member}"));
        let place = Place {
            longitude,
            latitude,
        };
        places.push((member, decode(encode(&place) as f64)));
    }
    places
}

fn members(bench: &mut Bench, line: &str) -> Vec<String> {
    let reply = bench.value(line);
    let text = |v: &cairn_format::resp::value::Value| {
        String::from_utf8_lossy(v.as_bytes().expect("a member")).into_owned()
    };
    reply
        .as_array()
        .expect("members")
        .iter()
        .map(text)
        .collect()
}

#[test]
fn a_search_finds_what_measuring_each_place_finds() {
    let mut random = Random::new(21);
    for count in [100, 1000] {
        let mut bench = Bench::new();
        let places = stored(&mut bench, count, &mut random);
        let mut found_any = 0;
        for _ in 0..300 {
            let (_, centre) = places[random.index(places.len())];
            let radius = 2_000.0 + 1_500_000.0 * random.unit().powi(4);
            let line = format!(
                "GEOSEARCH g FROMLONLAT {} {} BYRADIUS {radius} m ASC",
                centre.longitude, centre.latitude
            );
            let mut near: Vec<(f64, &str)> = places
                .iter()
                .map(|(member, place)| (centre.distance(place), member.as_str()))
                .filter(|(distance, _)| *distance <= radius)
                .collect();
            near.sort_by(|a, b| a.0.total_cmp(&b.0));
            let near: Vec<&str> = near.into_iter().map(|(_, member)| member).collect();
            assert_eq!(members(&mut bench, &line), near, "{line}");
            let three = members(&mut bench, &format!("{line} COUNT 3"));
            assert_eq!(three, near[..near.len().min(3)]);
            let any = members(&mut bench, &format!("{line} COUNT 3 ANY"));
            assert_eq!(any.len(), near.len().min(3));
            assert!(any.iter().all(|member| near.contains(&member.as_str())));
            found_any += near.len();
        }
        assert!(found_any > 1000, "only {found_any} places found");
    }
}

#[test]
fn storing_makes_a_sorted_set_in_the_encoding_of_its_size() {
    let mut bench = Bench::new();
    stored(&mut bench, 400, &mut Random::new(4));
    bench.propagated();
    for (count, encoding) in [(128, "listpack"), (129, "skiplist")] {
        let line = format!("GEOSEARCHSTORE d g FROMLONLAT 14 37 BYRADIUS 30000 km COUNT {count}");
        assert_eq!(bench.line(&line), format!(":{count}\r\n"));
        assert_eq!(bench.propagated(), [line]);
        assert_eq!(
            bench.line("OBJECT ENCODING d"),
            format!("${}\r\n{encoding}\r\n", encoding.len())
        );
        let same = "GEOSEARCH d FROMLONLAT 14 37 BYRADIUS 30000 km ASC";
        assert_eq!(members(&mut bench, same).len(), count);
    }
    let nothing = "GEORADIUS none 0 0 1 m STORE d";
    assert_eq!(bench.line(nothing), ":0\r\n");
    assert_eq!(bench.propagated(), [nothing]);
    assert_eq!(bench.line(nothing), ":0\r\n");
    assert!(
        bench.propagated().is_empty(),
        "there was nothing left to delete"
    );
}

#[test]
fn edges_of_the_map_are_found_around_themselves() {
    let mut bench = Bench::new();
    bench.line("GEOADD g 180 35 east 12 85.05112878 north -180 -85.05112878 south-west");
    for member in ["east", "north", "south-west"] {
        let line = format!("GEOSEARCH g FROMMEMBER {member} BYRADIUS 10 km");
        assert_eq!(members(&mut bench, &line), [member]);
    }
}

#[test]
fn any_score_is_a_place() {
    let mut bench = Bench::new();
    bench.line("ZADD g -1 minus inf infinite -inf least 0.5 half 1e300 huge");
    for member in ["minus", "infinite", "least", "half", "huge"] {
        assert!(
            bench
                .line(&format!("GEOPOS g {member}"))
                .starts_with("*1\r\n*2\r\n$")
        );
        assert!(
            bench
                .line(&format!("GEOHASH g {member}"))
                .starts_with("*1\r\n$11\r\n")
        );
        assert!(
            bench
                .line(&format!("GEODIST g {member} half"))
                .starts_with('$')
        );
        bench.value(&format!(
            "GEOSEARCH g FROMMEMBER {member} BYBOX 1000 1000 km WITHHASH"
        ));
    }
}

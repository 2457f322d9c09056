//! Places on the Earth as 52-bit numbers whose order keeps near places near, so that a sorted set can hold them.
//!
//! The span of longitudes and that of latitudes are halved 26 times each; the halves taken are interleaved, longitude first:
//!
//! ```text
//!   bit    51        50       49        48              1         0
//!        lon half  lat half  lon 1/4   lat 1/4  ...  lon 2^-26  lat 2^-26
//! ```
//!
//! A prefix of the number, of `step` bits per axis, is a cell: all places in it are one range of numbers. The numbers, the cells
//! and all doubles are those of Redis 7.2 (`geohash.c`, `geohash_helper.c`), operation by operation.

/// Bits per axis of a stored place.
pub const STEPS_MAX: u32 = 26;
/// Longitudes that can be stored, degrees.
const LONGITUDE: Span = Span {
    min: -180.0,
    max: 180.0,
};
/// Latitudes that can be stored, degrees: those of the Web Mercator projection.
const LATITUDE: Span = Span {
    min: -85.05112878,
    max: 85.05112878,
};

const EARTH_RADIUS_M: f64 = 6372797.560856;
/// Half the circumference in the Mercator projection, metres.
const MERCATOR_MAX_M: f64 = 20037726.37;
const RADIANS_PER_DEGREE: f64 = std::f64::consts::PI / 180.0;
const EVEN: u64 = 0x5555_5555_5555_5555;

/// A place, degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// East is positive.
    pub longitude: f64,
    /// North is positive.
    pub latitude: f64,
}

impl Place {
    /// Whether it can be stored.
    pub fn is_valid(&self) -> bool {
        LONGITUDE.holds(self.longitude) && LATITUDE.holds(self.latitude)
    }

    /// Great-circle distance, metres.
    pub fn distance(&self, other: &Place) -> f64 {
        let v = ((radians(other.longitude) - radians(self.longitude)) / 2.0).sin();
        if v == 0.0 {
            return latitude_distance(self.latitude, other.latitude);
        }
        let (lat1, lat2) = (radians(self.latitude), radians(other.latitude));
        let u = ((lat2 - lat1) / 2.0).sin();
        let a = u * u + lat1.cos() * lat2.cos() * v * v;
        2.0 * EARTH_RADIUS_M * a.sqrt().asin()
    }
}

fn latitude_distance(a: f64, b: f64) -> f64 {
    EARTH_RADIUS_M * (radians(b) - radians(a)).abs()
}

/// False if either is no number.
fn exceeds(distance: f64, limit: f64) -> bool {
    distance > limit
}

fn radians(degrees: f64) -> f64 {
    degrees * RADIANS_PER_DEGREE
}

fn degrees(radians: f64) -> f64 {
    radians / RADIANS_PER_DEGREE
}

/// What lies between two degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Lower end.
    pub min: f64,
    /// Upper end.
    pub max: f64,
}

impl Span {
    fn holds(&self, at: f64) -> bool {
        (self.min..=self.max).contains(&at)
    }

    /// The part that step `index` of `2^step` covers.
    fn part(&self, index: u32, step: u32) -> Span {
        let (scale, parts) = (self.max - self.min, (1u64 << step) as f64);
        Span {
            min: self.min + f64::from(index) / parts * scale,
            max: self.min + f64::from(index.wrapping_add(1)) / parts * scale,
        }
    }

    fn index(&self, at: f64, step: u32) -> u32 {
        let offset = (at - self.min) / (self.max - self.min);
        (offset * (1u64 << step) as f64) as u32
    }

    fn middle(&self) -> f64 {
        (self.min + self.max) / 2.0
    }
}

/// A cell: `step` bits of longitude and as many of latitude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The bits, interleaved.
    pub bits: u64,
    /// Bits per axis, 1 to 26.
    pub step: u32,
}

impl Cell {
    /// The cell of a place, which must be one that can be stored.
    pub fn of(place: &Place, step: u32) -> Cell {
        debug_assert!(place.is_valid(), "{place:?} has no cell");
        Cell::within(place, &LATITUDE, step)
    }

    fn within(place: &Place, latitudes: &Span, step: u32) -> Cell {
        let latitude = latitudes.index(place.latitude, step);
        let longitude = LONGITUDE.index(place.longitude, step);
        Cell {
            bits: spread(latitude) | spread(longitude) << 1,
            step,
        }
    }

    /// What the cell covers: longitudes, latitudes.
    fn area(&self) -> (Span, Span) {
        (
            LONGITUDE.part(gather(self.bits >> 1), self.step),
            LATITUDE.part(gather(self.bits), self.step),
        )
    }

    /// The numbers of all places in it, the upper end not included.
    pub fn range(&self) -> std::ops::Range<u64> {
        debug_assert!((1..=STEPS_MAX).contains(&self.step), "{} bits", self.step);
        let align = |bits: u64| bits << (2 * STEPS_MAX - 2 * self.step);
        align(self.bits)..align(self.bits + 1)
    }

    /// The cell so many columns to the east and rows to the north (-1, 0 or 1 each); it wraps around. As in Redis an axis
    /// wraps only if it moves: a place on the very edge lies one step beyond the last cell, and so do those beside it.
    fn neighbour(&self, east: i64, north: i64) -> Cell {
        let moved = |axis: u32, by: i64| match by {
            0 => axis,
            by => (i64::from(axis) + by) as u32 & ((1 << self.step) - 1),
        };
        let longitude = moved(gather(self.bits >> 1), east);
        let latitude = moved(gather(self.bits), north);
        Cell {
            bits: spread(latitude) | spread(longitude) << 1,
            step: self.step,
        }
    }
}

/// Puts the bits of a number at the even places of another.
fn spread(axis: u32) -> u64 {
    let mut x = u64::from(axis);
    x = (x | x << 16) & 0x0000_ffff_0000_ffff;
    x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
    x = (x | x << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    x = (x | x << 2) & 0x3333_3333_3333_3333;
    (x | x << 1) & EVEN
}

/// Takes the bits at the even places.
fn gather(bits: u64) -> u32 {
    let mut x = bits & EVEN;
    x = (x | x >> 1) & 0x3333_3333_3333_3333;
    x = (x | x >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    x = (x | x >> 4) & 0x00ff_00ff_00ff_00ff;
    x = (x | x >> 8) & 0x0000_ffff_0000_ffff;
    (x | x >> 16) as u32
}

/// The number of a place that can be stored; a double holds it exactly.
pub fn encode(place: &Place) -> u64 {
    let number = Cell::of(place, STEPS_MAX).range().start;
    debug_assert_eq!(number as f64 as u64, number, "a score is another number");
    number
}

/// The place that a score stands for: the middle of its cell. Any score gives one.
pub fn decode(score: f64) -> Place {
    // A negative score wraps around, as the conversion in C does on the machines that Redis runs on.
    let bits = if score < 0.0 {
        score as i64 as u64
    } else {
        score as u64
    };
    let (longitudes, latitudes) = (Cell {
        bits,
        step: STEPS_MAX,
    })
    .area();
    Place {
        longitude: longitudes.middle().clamp(LONGITUDE.min, LONGITUDE.max),
        latitude: latitudes.middle().clamp(LATITUDE.min, LATITUDE.max),
    }
}

/// The eleven letters of a standard geohash, which counts latitudes from -90 to 90. The last one is always `0`, because 52 bits
/// end within it.
pub fn text(place: &Place) -> [u8; 11] {
    const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let latitudes = Span {
        min: -90.0,
        max: 90.0,
    };
    let bits = Cell::within(place, &latitudes, STEPS_MAX).bits;
    std::array::from_fn(|i| match i {
        10 => ALPHABET[0],
        i => ALPHABET[(bits >> (52 - 5 * (i + 1)) & 31) as usize],
    })
}

/// What is searched, around a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// All within a distance, metres.
    Circle {
        /// The distance.
        radius: f64,
    },
    /// All within half a width to the east and west and half a height to the north and south, metres.
    Box {
        /// From west to east.
        width: f64,
        /// From south to north.
        height: f64,
    },
    /// All within lines from corner to corner, straight in degrees, around [`middle`]. Of Valkey 9.
    Polygon {
        /// At least three.
        corners: Box<[Place]>,
    },
}

/// The place from which distances within a polygon are told: the mean of its corners as points of a sphere.
pub fn middle(corners: &[Place]) -> Place {
    let mut sum = [0.0; 3];
    for corner in corners {
        let (longitude, latitude) = (radians(corner.longitude), radians(corner.latitude));
        sum[0] += latitude.cos() * longitude.cos();
        sum[1] += latitude.cos() * longitude.sin();
        sum[2] += latitude.sin();
    }
    let [x, y, z] = sum.map(|part| part / corners.len().max(1) as f64);
    Place {
        longitude: degrees(y.atan2(x)),
        latitude: degrees(z.atan2(x.hypot(y))),
    }
}

/// Whether a place is within the lines: a ray from it crosses them an odd number of times.
fn encloses(corners: &[Place], place: &Place) -> bool {
    let lines = corners.iter().zip(corners.iter().cycle().skip(1));
    let crosses = |(a, b): (&Place, &Place)| {
        (a.latitude > place.latitude) != (b.latitude > place.latitude) && {
            let part = (place.latitude - a.latitude) / (b.latitude - a.latitude);
            place.longitude < (b.longitude - a.longitude) * part + a.longitude
        }
    };
    lines.filter(|line| crosses(*line)).count() % 2 == 1
}

/// The longitudes and latitudes of a polygon.
fn extent(corners: &[Place]) -> (Span, Span) {
    let span = |of: fn(&Place) -> f64| Span {
        min: corners.iter().map(of).fold(f64::INFINITY, f64::min),
        max: corners.iter().map(of).fold(f64::NEG_INFINITY, f64::max),
    };
    (span(|place| place.longitude), span(|place| place.latitude))
}

impl Shape {
    /// The distance of a place from the centre, if the shape holds it.
    pub fn distance(&self, centre: &Place, place: &Place) -> Option<f64> {
        match *self {
            Shape::Polygon { ref corners } => {
                encloses(corners, place).then(|| centre.distance(place))
            }
            // Opposite ends of the Earth have no number for a distance; as in Redis that is not too far.
            Shape::Circle { radius } => {
                Some(centre.distance(place)).filter(|d| !exceeds(*d, radius))
            }
            Shape::Box { width, height } => {
                if latitude_distance(centre.latitude, place.latitude) > height / 2.0 {
                    return None;
                }
                let below = Place {
                    latitude: place.latitude,
                    ..*centre
                };
                (!exceeds(place.distance(&below), width / 2.0)).then(|| centre.distance(place))
            }
        }
    }

    /// The longitudes and latitudes that it reaches at most.
    fn bounds(&self, centre: &Place) -> (Span, Span) {
        let (width, height) = match *self {
            Shape::Polygon { ref corners } => return extent(corners),
            Shape::Circle { radius } => (radius, radius),
            Shape::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let latitude_delta = degrees(height / EARTH_RADIUS_M);
        // Circles of latitude are shorter towards the poles, so the edge that is nearer to one decides.
        let edge = if centre.latitude < 0.0 {
            centre.latitude - latitude_delta
        } else {
            centre.latitude + latitude_delta
        };
        let longitude_delta = degrees(width / EARTH_RADIUS_M / radians(edge).cos());
        let around = |at: f64, delta: f64| Span {
            min: at - delta,
            max: at + delta,
        };
        (
            around(centre.longitude, longitude_delta),
            around(centre.latitude, latitude_delta),
        )
    }

    /// The farthest that a place in it can be from its centre, metres.
    fn reach(&self, centre: &Place) -> f64 {
        match *self {
            Shape::Polygon { ref corners } => {
                // Circles of latitude are longest at the equator.
                let (longitudes, latitudes) = extent(corners);
                let widest = 0.0_f64.clamp(latitudes.min, latitudes.max);
                let edges = [longitudes.min, longitudes.max]
                    .into_iter()
                    .flat_map(|longitude| {
                        [latitudes.min, widest, latitudes.max].map(|latitude| Place {
                            longitude,
                            latitude,
                        })
                    });
                edges.map(|edge| centre.distance(&edge)).fold(0.0, f64::max)
            }
            Shape::Circle { radius } => radius,
            Shape::Box { width, height } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        }
    }

    /// The cells that hold it, in the order in which Redis looks through them: its own, then north, south, east, west and the
    /// corners. Large shapes may name a cell twice.
    pub fn cells(&self, centre: &Place) -> Vec<Cell> {
        let (longitudes, latitudes) = self.bounds(centre);
        let mut step = steps_for(self.reach(centre), centre.latitude);
        let mut cell = Cell::of(centre, step);
        let falls_short = |cell: &Cell| {
            cell.neighbour(0, 1).area().1.max < latitudes.max
                || cell.neighbour(0, -1).area().1.min > latitudes.min
                || cell.neighbour(1, 0).area().0.max < longitudes.max
                || cell.neighbour(-1, 0).area().0.min > longitudes.min
        };
        // The middle of a polygon may be anywhere in it; around the others Redis looks once, and so do we.
        let mut looks = match self {
            Shape::Polygon { .. } => STEPS_MAX,
            _ => 1,
        };
        while step > 1 && looks > 0 && falls_short(&cell) {
            step -= 1;
            looks -= 1;
            cell = Cell::of(centre, step);
        }
        let (east_west, north_south) = cell.area();
        // Where the cell itself reaches far enough, its neighbours on that side are of no use.
        let useless = |east: i64, north: i64| {
            step >= 2
                && (north < 0 && north_south.min < latitudes.min
                    || north > 0 && north_south.max > latitudes.max
                    || east < 0 && east_west.min < longitudes.min
                    || east > 0 && east_west.max > longitudes.max)
        };
        const ORDER: [(i64, i64); 9] = [
            (0, 0),
            (0, 1),
            (0, -1),
            (1, 0),
            (-1, 0),
            (1, 1),
            (-1, 1),
            (1, -1),
            (-1, -1),
        ];
        ORDER
            .into_iter()
            .filter(|(east, north)| !useless(*east, *north))
            .map(|(east, north)| cell.neighbour(east, north))
            .collect()
    }
}

/// Bits per axis of cells so large that nine of them hold all within this distance.
fn steps_for(reach_m: f64, latitude: f64) -> u32 {
    if reach_m == 0.0 {
        return STEPS_MAX;
    }
    let (mut step, mut reach) = (1i32, reach_m);
    while reach < MERCATOR_MAX_M {
        reach *= 2.0;
        step += 1;
    }
    step -= 2;
    // Cells are narrower towards the poles.
    if !(-66.0..=66.0).contains(&latitude) {
        step -= 1;
        if !(-80.0..=80.0).contains(&latitude) {
            step -= 1;
        }
    }
    step.clamp(1, STEPS_MAX as i32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Random;

    fn at(longitude: f64, latitude: f64) -> Place {
        Place {
            longitude,
            latitude,
        }
    }

    fn any(random: &mut Random, latitude_max: f64) -> Place {
        at(
            (random.unit() - 0.5) * 360.0,
            (random.unit() - 0.5) * 2.0 * latitude_max,
        )
    }

    #[test]
    fn numbers_are_those_that_redis_propagates() {
        assert_eq!(encode(&at(1.0, 1.0)), 3377822707026402);
        assert_eq!(encode(&at(-122.4194, 37.7749)), 1367859919124626);
        assert_eq!(encode(&at(-180.0, 85.05)), 1501199875706884);
        assert_eq!(&text(&decode(3479099956230698.0)), b"sqc8b49rny0");
    }

    #[test]
    fn a_place_comes_back_within_half_a_cell() {
        let mut random = Random::new(3);
        for _ in 0..10_000 {
            let place = any(&mut random, LATITUDE.max);
            let back = decode(encode(&place) as f64);
            assert!(
                (back.longitude - place.longitude).abs() <= 360.0 / (1u64 << 27) as f64 * 1.001
            );
            assert!((back.latitude - place.latitude).abs() <= 171.0 / (1u64 << 27) as f64);
            let (longitudes, latitudes) = Cell::of(&place, 7).area();
            assert!(longitudes.holds(place.longitude) && latitudes.holds(place.latitude));
        }
    }

    #[test]
    fn bits_spread_and_gather() {
        let mut random = Random::new(5);
        for _ in 0..1000 {
            let axis = random.next_u64() as u32;
            assert_eq!(gather(spread(axis)), axis);
            assert_eq!(gather(spread(axis) << 1), 0);
        }
    }

    /// Far from the poles, where bounds that reach over them say nothing, no place within a shape is outside of its cells.
    #[test]
    fn the_cells_hold_the_shape() {
        let mut random = Random::new(9);
        let mut inside = 0;
        for _ in 0..20_000 {
            let centre = any(&mut random, 60.0);
            let size = 1_000_000.0 * random.unit().powi(3);
            let shape = if random.index(2) == 0 {
                Shape::Circle { radius: size }
            } else {
                Shape::Box {
                    width: size,
                    height: size / 3.0,
                }
            };
            let spread_degrees = size / 50_000.0;
            let place = at(
                centre.longitude + (random.unit() - 0.5) * spread_degrees,
                centre.latitude + (random.unit() - 0.5) * spread_degrees,
            );
            if !place.is_valid() || shape.distance(&centre, &place).is_none() {
                continue;
            }
            inside += 1;
            let number = encode(&place);
            let held = shape
                .cells(&centre)
                .iter()
                .any(|c| c.range().contains(&number));
            assert!(held, "{shape:?} around {centre:?} loses {place:?}");
        }
        assert!(inside > 1000, "only {inside} places were within");
    }

    /// Longitude 180 lies one step behind the last cell, and so does what is searched around it.
    #[test]
    fn a_place_on_the_edge_is_found_around_itself() {
        for place in [
            at(180.0, 35.0),
            at(12.0, LATITUDE.max),
            at(180.0, LATITUDE.max),
        ] {
            let cells = (Shape::Circle { radius: 100.0 }).cells(&place);
            let number = encode(&place);
            assert!(
                cells.iter().any(|cell| cell.range().contains(&number)),
                "{place:?}"
            );
        }
    }

    #[test]
    fn any_score_gives_a_place() {
        for score in [
            f64::INFINITY,
            f64::NEG_INFINITY,
            -1.0,
            1e300,
            0.5,
            18446744073709551615.0,
        ] {
            let place = decode(score);
            assert!(place.is_valid(), "{score}: {place:?}");
        }
    }
}

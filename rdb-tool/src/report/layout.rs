//! Areas in proportion: rectangles of a treemap, and bars of a flame graph.

/// A rectangle, in units of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// Left.
    pub x: f64,
    /// Top.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Area {
    /// The same with less at every side.
    pub fn inset(self, side: f64, top: f64) -> Area {
        Area {
            x: self.x + side,
            y: self.y + top,
            width: (self.width - 2.0 * side).max(0.0),
            height: (self.height - top - side).max(0.0),
        }
    }
}

/// Rectangles whose areas are as `sizes`, as square as can be, in the order given. Sizes come largest first; they may be 0.
pub fn treemap(sizes: &[u64], area: Area) -> Vec<Area> {
    let total: u64 = sizes.iter().sum();
    let scale = match total {
        0 => 0.0,
        total => area.width * area.height / total as f64,
    };
    let mut placed = Vec::with_capacity(sizes.len());
    let (mut rest, mut from) = (area, 0);
    while from < sizes.len() {
        let side = rest.width.min(rest.height);
        let mut to = from + 1;
        while to < sizes.len()
            && worst(&sizes[from..=to], scale, side) <= worst(&sizes[from..to], scale, side)
        {
            to += 1;
        }
        rest = row(&sizes[from..to], scale, rest, &mut placed);
        from = to;
    }
    placed
}

/// The worst proportion in a row along a side.
fn worst(sizes: &[u64], scale: f64, side: f64) -> f64 {
    let sum = sizes.iter().sum::<u64>() as f64 * scale;
    let depth = sum / side;
    let proportion = |size: &u64| {
        let length = *size as f64 * scale / depth;
        (length / depth).max(depth / length)
    };
    sizes.iter().map(proportion).fold(0.0, f64::max)
}

/// Places a row along the shorter side, and gives what is left.
fn row(sizes: &[u64], scale: f64, rest: Area, placed: &mut Vec<Area>) -> Area {
    let sum = sizes.iter().sum::<u64>() as f64 * scale;
    let lies = rest.width >= rest.height;
    let side = if lies { rest.height } else { rest.width };
    let depth = if side > 0.0 { sum / side } else { 0.0 };
    let mut at = 0.0;
    for size in sizes {
        let length = if depth > 0.0 {
            *size as f64 * scale / depth
        } else {
            0.0
        };
        placed.push(match lies {
            true => Area {
                x: rest.x,
                y: rest.y + at,
                width: depth,
                height: length,
            },
            false => Area {
                x: rest.x + at,
                y: rest.y,
                width: length,
                height: depth,
            },
        });
        at += length;
    }
    match lies {
        true => Area {
            x: rest.x + depth,
            width: (rest.width - depth).max(0.0),
            ..rest
        },
        false => Area {
            y: rest.y + depth,
            height: (rest.height - depth).max(0.0),
            ..rest
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_in_proportion_and_lie_apart() {
        let area = Area {
            x: 0.0,
            y: 0.0,
            width: 600.0,
            height: 400.0,
        };
        let sizes = [600, 600, 400, 300, 200, 200, 100, 0];
        let placed = treemap(&sizes, area);
        assert_eq!(placed.len(), sizes.len());
        for (size, place) in sizes.iter().zip(&placed) {
            let expected = *size as f64 * 100.0;
            assert!(
                (place.width * place.height - expected).abs() < 1e-6,
                "{place:?}"
            );
            assert!(place.x >= 0.0 && place.x + place.width <= 600.0 + 1e-6);
            assert!(place.y >= 0.0 && place.y + place.height <= 400.0 + 1e-6);
        }
        for (at, a) in placed.iter().enumerate() {
            for b in &placed[..at] {
                let apart = a.x + 1e-6 >= b.x + b.width
                    || b.x + 1e-6 >= a.x + a.width
                    || a.y + 1e-6 >= b.y + b.height
                    || b.y + 1e-6 >= a.y + a.height;
                assert!(apart, "{a:?} {b:?}");
            }
        }
        assert!(treemap(&[], area).is_empty());
        assert!(
            treemap(&[0, 0], area)
                .iter()
                .all(|place| place.width * place.height == 0.0)
        );
    }
}

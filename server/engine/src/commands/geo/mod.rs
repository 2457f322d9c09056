//! Places: sorted sets whose scores are geohashes of 52 bits. One file for adding, one for looking members up, and for searching
//! one that reads the options and one that finds and answers.

mod add;
mod lookup;
mod options;
mod search;

use crate::base::args::Args;
use crate::base::error::Error;
use crate::call::reply::Reply;
use crate::call::spec::Command;
use crate::value::geohash::Place;
use cairn_format::text::long_double::write_f64_human;

/// This family.
pub const COMMANDS: &[&Command] = &[
    &add::GEOADD,
    &lookup::GEODIST,
    &lookup::GEOHASH,
    &lookup::GEOPOS,
    &search::GEORADIUS,
    &search::GEORADIUSBYMEMBER,
    &search::GEORADIUSBYMEMBER_RO,
    &search::GEORADIUS_RO,
    &search::GEOSEARCH,
    &search::GEOSEARCHSTORE,
];

/// The place at arguments `i` and `i + 1`, longitude first.
fn place(args: &Args, i: usize) -> Result<Place, Error> {
    let place = Place {
        longitude: args.float(i)?,
        latitude: args.float(i + 1)?,
    };
    if place.is_valid() {
        return Ok(place);
    }
    Err(Error::text(format!(
        "ERR invalid longitude,latitude pair {:.6},{:.6}",
        place.longitude, place.latitude
    )))
}

/// Metres in the unit at argument `i`.
fn unit(args: &Args, i: usize) -> Result<f64, Error> {
    match () {
        () if args.is(i, "m") => Ok(1.0),
        () if args.is(i, "km") => Ok(1000.0),
        () if args.is(i, "ft") => Ok(0.3048),
        () if args.is(i, "mi") => Ok(1609.34),
        () => Err(Error::new(
            "ERR unsupported unit provided. please use M, KM, FT, MI",
        )),
    }
}

/// A number at argument `i` that must not be negative, with the errors for both.
fn length(
    args: &Args,
    i: usize,
    invalid: &'static str,
    negative: &'static str,
) -> Result<f64, Error> {
    match args.float(i) {
        Err(_) => Err(Error::new(invalid)),
        Ok(number) if number < 0.0 => Err(Error::new(negative)),
        Ok(number) => Ok(number),
    }
}

/// Longitude and latitude as a pair of numbers with up to 17 decimals; bulk strings in RESP2.
fn reply_place(reply: &mut Reply, place: &Place) {
    reply.array(2);
    for degrees in [place.longitude, place.latitude] {
        let mut text = Vec::with_capacity(24);
        write_f64_human(&mut text, degrees);
        reply.double_text(&text);
    }
}

/// A distance with four decimals, a bulk string in either protocol. Rounded as Redis 7.2 does it: the ten-thousandths to the
/// nearest integer, half to even.
fn reply_distance(reply: &mut Reply, distance: f64) {
    let parts = (distance * 10_000.0).round_ties_even() as i64;
    let sign = if parts < 0 { "-" } else { "" };
    let (whole, rest) = (parts.unsigned_abs() / 10_000, parts.unsigned_abs() % 10_000);
    reply.bulk(format!("{sign}{whole}.{rest:04}").as_bytes());
}

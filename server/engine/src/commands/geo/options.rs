//! What the search commands are asked for. Their words differ by name; they are read in one place because they end in the
//! same search.

use super::{length, place, unit};
use crate::base::args::Args;
use crate::base::error::{self, Error, lossless};
use crate::value::geohash::{Place, Shape, middle};

/// Which of the search commands runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// GEORADIUS: a place and a radius stand before the options.
    Radius,
    /// GEORADIUSBYMEMBER: a member and a radius do.
    RadiusByMember,
    /// GEOSEARCH: all is said by options.
    Search,
    /// GEOSEARCHSTORE, with the target before the source.
    SearchStore,
}

impl Form {
    fn is_search(self) -> bool {
        matches!(self, Form::Search | Form::SearchStore)
    }

    /// Argument of the key that is searched.
    pub(super) fn source(self) -> usize {
        if self == Form::SearchStore { 2 } else { 1 }
    }
}

/// The order of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// As they were found.
    Found,
    /// Nearest first.
    Nearest,
    /// Farthest first.
    Farthest,
}

/// A search, understood.
#[derive(Debug)]
pub(super) struct Options {
    /// Not known only if the source does not exist.
    pub centre: Option<Place>,
    pub shape: Option<Shape>,
    /// Metres in the unit of the shape, in which distances are answered.
    pub metres: f64,
    pub with_distance: bool,
    pub with_hash: bool,
    pub with_place: bool,
    pub order: Order,
    /// At most so many results.
    pub count: Option<usize>,
    /// The first ones found will do.
    pub any: bool,
    /// Argument of the key that takes the results.
    pub store: Option<usize>,
    /// Distances become the scores there.
    pub store_distance: bool,
}

/// Finds the place of a member; only called while options are read.
pub(super) type Locate<'l> = &'l dyn Fn(&[u8]) -> Result<Option<Place>, Error>;

/// Which centre and which shape were named, and by whom.
#[derive(Default)]
struct Named {
    member: bool,
    place: bool,
    radius: bool,
    rectangle: bool,
    /// Which is both.
    polygon: bool,
}

impl Named {
    fn any(&self) -> bool {
        self.member || self.place || self.radius || self.rectangle
    }
}

impl Options {
    /// Reads all arguments. `locate` answers `None` if the source key does not exist.
    pub(super) fn parse(
        args: &Args,
        form: Form,
        may_store: bool,
        locate: Locate,
    ) -> Result<Options, Error> {
        let mut options = Options {
            centre: None,
            shape: None,
            metres: 1.0,
            with_distance: false,
            with_hash: false,
            with_place: false,
            order: Order::Found,
            count: None,
            any: false,
            store: (form == Form::SearchStore).then_some(1),
            store_distance: false,
        };
        let first = options.positional(args, form, locate)?;
        let mut named = Named::default();
        let mut i = first;
        while i < args.len() {
            i += match options.flag(args, i) {
                true => 1,
                false if form.is_search() => {
                    options.search_word(args, i, form, &mut named, locate)?
                }
                false => options.radius_word(args, i, may_store)?,
            };
        }
        options.check(args, form, &named)?;
        Ok(options)
    }

    /// What stands before the options; answers the first argument behind it.
    fn positional(&mut self, args: &Args, form: Form, locate: Locate) -> Result<usize, Error> {
        match form {
            Form::Radius => {
                self.centre = Some(place(args, 2)?);
                self.radius(args, 4)?;
                Ok(6)
            }
            Form::RadiusByMember => {
                self.centre = locate(args.at(2))?;
                // Without a source Redis does not even read the radius.
                if self.centre.is_some() {
                    self.radius(args, 3)?;
                }
                Ok(5)
            }
            Form::Search => Ok(2),
            Form::SearchStore => Ok(3),
        }
    }

    fn radius(&mut self, args: &Args, i: usize) -> Result<(), Error> {
        let radius = length(
            args,
            i,
            "ERR need numeric radius",
            "ERR radius cannot be negative",
        )?;
        self.metres = unit(args, i + 1)?;
        let radius = radius * self.metres;
        self.shape = Some(Shape::Circle { radius });
        Ok(())
    }

    fn rectangle(&mut self, args: &Args, i: usize) -> Result<(), Error> {
        let number = |i: usize, invalid| args.float(i).map_err(|_| Error::new(invalid));
        let width = number(i, "ERR need numeric width")?;
        let height = number(i + 1, "ERR need numeric height")?;
        if height < 0.0 || width < 0.0 {
            return Err(Error::new("ERR height or width cannot be negative"));
        }
        self.metres = unit(args, i + 2)?;
        self.shape = Some(Shape::Box {
            width: width * self.metres,
            height: height * self.metres,
        });
        Ok(())
    }

    /// A number of corners and then these; answers how many arguments that was, with the word before it.
    fn polygon(&mut self, args: &Args, i: usize) -> Result<usize, Error> {
        let count = args.int(i).ok().and_then(|n| i32::try_from(n).ok());
        let count = count.ok_or(Error::new("ERR invalid number of vertices"))?;
        let count = usize::try_from(count).unwrap_or(0);
        if count < 3 || 2 * count > args.len() - i - 1 {
            return Err(Error::new(
                "ERR GEOSEARCH BYPOLYGON must have at least 3 vertices",
            ));
        }
        let corners = (0..count).map(|n| place(args, i + 1 + 2 * n));
        let corners: Box<[Place]> = corners.collect::<Result<_, _>>()?;
        self.centre = Some(middle(&corners));
        self.shape = Some(Shape::Polygon { corners });
        Ok(2 + 2 * count)
    }

    /// Words without an argument that all commands have.
    fn flag(&mut self, args: &Args, i: usize) -> bool {
        match () {
            () if args.is(i, "withdist") => self.with_distance = true,
            () if args.is(i, "withhash") => self.with_hash = true,
            () if args.is(i, "withcoord") => self.with_place = true,
            () if args.is(i, "any") => self.any = true,
            () if args.is(i, "asc") => self.order = Order::Nearest,
            () if args.is(i, "desc") => self.order = Order::Farthest,
            () => return false,
        }
        true
    }

    fn count(&mut self, args: &Args, i: usize) -> Result<usize, Error> {
        match args.int(i + 1)? {
            count @ 1.. => self.count = Some(usize::try_from(count).unwrap_or(usize::MAX)),
            _ => return Err(Error::new("ERR COUNT must be > 0")),
        }
        Ok(2)
    }

    /// Words of GEORADIUS and its relatives; answers how many arguments it took.
    fn radius_word(&mut self, args: &Args, i: usize, may_store: bool) -> Result<usize, Error> {
        if i + 1 == args.len() {
            return Err(error::SYNTAX);
        }
        if args.is(i, "count") {
            return self.count(args, i);
        }
        let distance = args.is(i, "storedist");
        if !may_store || !(distance || args.is(i, "store")) {
            return Err(error::SYNTAX);
        }
        (self.store, self.store_distance) = (Some(i + 1), distance);
        Ok(2)
    }

    /// Words of GEOSEARCH and GEOSEARCHSTORE; answers how many arguments it took.
    fn search_word(
        &mut self,
        args: &Args,
        i: usize,
        form: Form,
        named: &mut Named,
        locate: Locate,
    ) -> Result<usize, Error> {
        let behind = args.len() - i - 1;
        match () {
            () if args.is(i, "count") && behind >= 1 => self.count(args, i),
            () if args.is(i, "bypolygon") && behind >= 1 && !named.any() => {
                named.polygon = true;
                self.polygon(args, i + 1)
            }
            () if named.polygon && ["from", "by"].iter().any(|w| begins(args.at(i), w)) => {
                Err(error::SYNTAX)
            }
            () if args.is(i, "frommember") && behind >= 1 && !named.place => {
                named.member = true;
                self.centre = locate(args.at(i + 1))?;
                Ok(2)
            }
            () if args.is(i, "fromlonlat") && behind >= 2 && !named.member => {
                named.place = true;
                self.centre = Some(place(args, i + 1)?);
                Ok(3)
            }
            () if args.is(i, "byradius") && behind >= 2 && !named.rectangle => {
                named.radius = true;
                self.radius(args, i + 1)?;
                Ok(3)
            }
            () if args.is(i, "bybox") && behind >= 3 && !named.radius => {
                named.rectangle = true;
                self.rectangle(args, i + 1)?;
                Ok(4)
            }
            () if args.is(i, "storedist") && form == Form::SearchStore => {
                self.store_distance = true;
                Ok(1)
            }
            () => Err(error::SYNTAX),
        }
    }

    /// What only shows when all is read.
    fn check(&self, args: &Args, form: Form, named: &Named) -> Result<(), Error> {
        if self.store.is_some() && (self.with_distance || self.with_hash || self.with_place) {
            let who = if form == Form::SearchStore {
                "GEOSEARCHSTORE"
            } else {
                "STORE option in GEORADIUS"
            };
            return Err(Error::text(format!(
                "ERR {who} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        if form.is_search() && !named.polygon {
            let missing = match () {
                () if !(named.member || named.place) => Some("FROMMEMBER or FROMLONLAT can"),
                () if !(named.radius || named.rectangle) => Some("BYRADIUS and BYBOX can"),
                () => None,
            };
            if let Some(missing) = missing {
                return Err(Error::text(format!(
                    "ERR exactly one of {missing} be specified for {}",
                    lossless(args.at(0))
                )));
            }
        }
        if self.any && self.count.is_none() {
            return Err(Error::new("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }
}

/// Whether a word begins with these letters, in either case.
fn begins(word: &[u8], letters: &str) -> bool {
    let begin = word.get(..letters.len());
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(letters.as_bytes()))
}

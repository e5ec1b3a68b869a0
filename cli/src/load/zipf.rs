//! Which SKU an order asks for: all alike, or few of them often (Zipf's law).

/// A cumulative table of weights 1/rank^s, searched by bisection: exact for every s, small for the few
/// thousand SKUs that a load has.
pub struct Zipf {
    upto: Vec<f64>,
}

impl Zipf {
    /// Over `n` ranks with exponent `s`; 0 makes all ranks alike.
    pub fn new(n: usize, s: f64) -> Self {
        let mut sum = 0.0;
        let upto = (1..=n.max(1)).map(|rank| {
            sum += (rank as f64).powf(-s);
            sum
        });
        Zipf { upto: upto.collect() }
    }

    /// The rank, from 0, at a point of the unit interval.
    pub fn rank(&self, point: f64) -> usize {
        let last = self.upto.len() - 1;
        let at = point * self.upto[last];
        self.upto.partition_point(|upto| *upto <= at).min(last)
    }

    /// So many different ranks; all of them if there are no more.
    pub fn distinct(&self, count: usize, random: &mut Random, into: &mut Vec<usize>) {
        into.clear();
        let count = count.min(self.upto.len());
        // A steep law draws its few favourites again and again; after so many draws the rest are filled up
        // with the next ranks that are free.
        for _ in 0..count * 20 {
            if into.len() == count {
                return;
            }
            let rank = self.rank(random.point());
            if !into.contains(&rank) {
                into.push(rank);
            }
        }
        let free: Vec<usize> =
            (0..self.upto.len()).filter(|rank| !into.contains(rank)).take(count - into.len()).collect();
        into.extend(free);
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and a mix a number, seeded by any number.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A point of the unit interval, 1 excluded.
    pub fn point(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(n: usize, s: f64) -> Vec<f64> {
        let (zipf, mut random) = (Zipf::new(n, s), Random(7));
        let mut hits = vec![0.0; n];
        (0..200_000).for_each(|_| hits[zipf.rank(random.point())] += 1.0 / 200_000.0);
        hits
    }

    #[test]
    fn without_an_exponent_all_ranks_are_alike() {
        for share in shares(10, 0.0) {
            assert!((share - 0.1).abs() < 0.005, "{share}");
        }
    }

    #[test]
    fn the_share_of_a_rank_falls_with_its_power() {
        let harmonic: f64 = (1..=50).map(|rank| 1.0 / f64::from(rank)).sum();
        for (index, share) in shares(50, 1.0).into_iter().enumerate() {
            let expected = 1.0 / (index + 1) as f64 / harmonic;
            assert!((share - expected).abs() < 0.005, "rank {index}: {share} for {expected}");
        }
    }

    #[test]
    fn the_ends_of_the_interval_are_the_first_and_the_last_rank() {
        let zipf = Zipf::new(3, 1.5);
        assert_eq!((zipf.rank(0.0), zipf.rank(1.0 - f64::EPSILON), zipf.rank(1.0)), (0, 2, 2));
        assert_eq!(Zipf::new(1, 2.0).rank(0.5), 0);
    }

    #[test]
    fn distinct_ranks_are_distinct_even_where_the_law_is_steep() {
        let (zipf, mut random, mut ranks) = (Zipf::new(90, 8.0), Random(1), Vec::new());
        for count in [1, 45, 90, 200] {
            zipf.distinct(count, &mut random, &mut ranks);
            let mut sorted = ranks.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!((sorted.len(), ranks.len()), (count.min(90), count.min(90)));
        }
    }

    #[test]
    fn one_seed_is_one_sequence() {
        let points = |seed| -> Vec<u64> {
            let mut random = Random(seed);
            (0..5).map(|_| random.next()).collect()
        };
        assert_eq!(points(3), points(3));
        assert_ne!(points(3), points(4));
        // The first output of the reference implementation for seed 0.
        assert_eq!(points(0)[0], 0xE220_A839_7B1D_CDAF);
    }
}

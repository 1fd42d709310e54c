//! The shape of a garment, cut out of its grey image.

/// What belongs to a garment is brighter. The grounds of Fashion-MNIST are 0, but for stray traces.
const THRESHOLD: u8 = 15;

/// A grey image of a garment and its silhouette, `[height, width]` both.
pub(super) struct Garment<'a> {
    image: &'a [u8],
    /// 255 inside, 0 outside.
    inside: Vec<u8>,
    height: usize,
    width: usize,
}

impl<'a> Garment<'a> {
    pub(super) fn new(image: &'a [u8], height: usize, width: usize) -> Self {
        Self {
            image,
            inside: inside(image, height, width),
            height,
            width,
        }
    }

    /// Cover and brightness, 0 to 255 both, of the pixel (`y`, `x`) of `side` x `side` to which the image is scaled.
    pub(super) fn sample(&self, y: usize, x: usize, side: usize) -> (i32, i32) {
        let (y, x) = (
            Between::new(y, side, self.height),
            Between::new(x, side, self.width),
        );
        let value = |all: &[u8]| {
            let at = |y: usize, x: usize| i32::from(all[y * self.width + x]);
            let row = |i: usize| at(i, x.low) * (256 - x.part) + at(i, x.high) * x.part;
            (row(y.low) * (256 - y.part) + row(y.high) * y.part + (1 << 15)) >> 16
        };
        (value(&self.inside), value(self.image))
    }
}

/// A place between two pixels of a line: `part` of 256 of the way from the lower to the higher.
struct Between {
    low: usize,
    high: usize,
    part: i32,
}

impl Between {
    /// Where the middle of pixel `i` of `to` falls on a line of `from` pixels; beyond the outermost middles, on those.
    fn new(i: usize, to: usize, from: usize) -> Self {
        // In 1/256 pixel: (i + 1/2) from / to - 1/2.
        let place = (((2 * i + 1) * from * 128) / to).saturating_sub(128);
        let low = (place / 256).min(from - 1);
        Self {
            low,
            high: (low + 1).min(from - 1),
            part: (place % 256) as i32,
        }
    }
}

/// 255 for every pixel that cannot be reached from the border over dark pixels, up, down or sideways: the garment with
/// the holes in it filled.
fn inside(image: &[u8], height: usize, width: usize) -> Vec<u8> {
    let mut inside = vec![255; image.len()];
    let border = |i: &usize| {
        let (y, x) = (i / width, i % width);
        y == 0 || x == 0 || y + 1 == height || x + 1 == width
    };
    let mut reached: Vec<usize> = (0..image.len()).filter(border).collect();
    while let Some(i) = reached.pop() {
        if image[i] > THRESHOLD || inside[i] == 0 {
            continue;
        }
        inside[i] = 0;
        let (y, x) = (i / width, i % width);
        if y > 0 {
            reached.push(i - width);
        }
        if y + 1 < height {
            reached.push(i + width);
        }
        if x > 0 {
            reached.push(i - 1);
        }
        if x + 1 < width {
            reached.push(i + 1);
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_and_bays_are_not() {
        // A ring around a hole, and a bay that is open to the right.
        let image: Vec<u8> = "
            ........
            .####...
            .#..###.
            .#..#...
            .####...
            ........"
            .bytes()
            .filter(|b| b".#".contains(b))
            .map(|b| if b == b'#' { 16 } else { 15 })
            .collect();
        let expected: Vec<u8> = "
            ........
            .####...
            .######.
            .####...
            .####...
            ........"
            .bytes()
            .filter(|b| b".#".contains(b))
            .map(|b| if b == b'#' { 255 } else { 0 })
            .collect();
        assert_eq!(inside(&image, 6, 8), expected);
    }

    #[test]
    fn at_its_own_size_an_image_is_itself() {
        let image: Vec<u8> = (0..25).map(|i| i * 10).collect();
        let garment = Garment::new(&image, 5, 5);
        for (i, &value) in image.iter().enumerate() {
            assert_eq!(garment.sample(i / 5, i % 5, 5).1, i32::from(value));
        }
    }

    #[test]
    fn scaled_up_values_lie_between_their_neighbours() {
        // A step from 0 to 200 over two pixels, to four: the middles fall at -1/4, 1/4, 3/4 and 5/4 pixels.
        let image = [0, 200, 0, 200];
        let garment = Garment::new(&image, 2, 2);
        let row: Vec<i32> = (0..4).map(|x| garment.sample(1, x, 4).1).collect();
        assert_eq!(row, [0, 50, 150, 200]);
    }
}

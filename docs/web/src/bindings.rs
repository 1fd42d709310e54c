//! What the pages' scripts call.

use crate::{Digits, Error, Playground, Unet};
use wasm_bindgen::prelude::*;

fn sentence(error: Error) -> JsError {
    JsError::new(&error.to_string())
}

#[wasm_bindgen]
pub struct DigitReader(Digits);

#[wasm_bindgen]
impl DigitReader {
    #[wasm_bindgen(constructor)]
    pub fn new(file: &[u8]) -> Result<DigitReader, JsError> {
        Digits::new(file).map(DigitReader).map_err(sentence)
    }

    pub fn cut(&mut self, share: f64) -> Result<(), JsError> {
        self.0.cut(share).map_err(sentence)
    }

    pub fn read(&self, pixels: &[u8]) -> Result<Vec<f32>, JsError> {
        self.0.read(pixels).map_err(sentence)
    }

    pub fn kept(&self) -> usize {
        self.0.kept()
    }

    pub fn weights(&self) -> usize {
        self.0.weights()
    }

    pub fn filters(&self) -> Vec<f32> {
        self.0.filters().0.to_vec()
    }

    pub fn side(&self) -> usize {
        self.0.filters().1
    }
}

#[wasm_bindgen]
pub struct Segmenter(Unet);

#[wasm_bindgen]
impl Segmenter {
    #[wasm_bindgen(constructor)]
    pub fn new(file: &[u8]) -> Result<Segmenter, JsError> {
        Unet::new(file).map(Segmenter).map_err(sentence)
    }

    pub fn segment(&self, pixels: &[u8], height: usize, width: usize) -> Result<Vec<u8>, JsError> {
        self.0.segment(pixels, height, width).map_err(sentence)
    }

    pub fn kept(&self) -> usize {
        self.0.kept()
    }

    pub fn weights(&self) -> usize {
        self.0.weights()
    }
}

#[wasm_bindgen]
pub struct Transform(Playground);

#[wasm_bindgen]
impl Transform {
    #[wasm_bindgen(constructor)]
    pub fn new(side: usize) -> Result<Transform, JsError> {
        Playground::new(side).map(Transform).map_err(sentence)
    }

    pub fn rank(&self, position: usize) -> usize {
        self.0.rank(position)
    }

    pub fn coefficients(&self) -> Vec<f32> {
        self.0.coefficients().to_vec()
    }

    pub fn set(&mut self, position: usize, value: f32) -> Result<(), JsError> {
        self.0.set(position, value).map_err(sentence)
    }

    pub fn analyze(&mut self, filter: &[f32]) -> Result<(), JsError> {
        self.0.analyze(filter).map_err(sentence)
    }

    pub fn filter(&self, keep: usize) -> Result<Vec<f32>, JsError> {
        self.0.filter(keep).map_err(sentence)
    }
}

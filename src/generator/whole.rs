//! Whole graphs in one session, for comparison with the chain.

use crate::generator::chain::named_dims;
use crate::generator::provider::Workload;
use crate::generator::residence::{Residence, Shared};
use crate::generator::{Generator, GeneratorError, Provider, Runtime};
use ort::session::{IoBinding, Session};

/// A model whose segments were joined into one graph: no bend can reach between its layers.
///
/// Inputs `constant`, `style_0` … `style_n` \[1, w_dim\] and `noise_0` … \[1, 1, H, W\], output
/// `image`.
pub struct FusedGenerator {
    graph: BoundGraph,
    w_dim: usize,
    latents: usize,
}

impl std::fmt::Debug for FusedGenerator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FusedGenerator")
            .field("latents", &self.latents)
            .finish_non_exhaustive()
    }
}

impl FusedGenerator {
    /// Loads the joined graph of `generator`'s model on the same provider, with its constant noise.
    ///
    /// # Errors
    /// When ONNX Runtime refuses it.
    pub fn new(
        generator: &Generator,
        runtime: &Runtime,
        onnx: &[u8],
    ) -> Result<Self, GeneratorError> {
        let manifest = generator.manifest();
        let latents = generator.latents();
        let mut inputs: Vec<(String, Vec<usize>)> = (0..latents)
            .map(|i| (format!("style_{i}"), vec![1, manifest.w_dim]))
            .collect();
        let aspect = generator.aspect();
        for layer in &manifest.layers {
            let [rows, columns] = aspect.size_at(layer.resolution);
            inputs.push((format!("noise_{}", layer.layer), vec![1, 1, rows, columns]));
        }
        let start = generator.start();
        inputs.push(("constant".to_owned(), start.dims().to_vec()));
        let shape = generator.image_shape();
        let mut graph = BoundGraph::new(
            generator,
            runtime,
            onnx,
            inputs,
            ("image", vec![1, 3, shape.height, shape.width]),
        )?;
        for (layer, values) in generator.noise_const().iter().enumerate() {
            let noise = graph.inputs[latents + layer].1.values_mut();
            aspect.noise(values, manifest.layers[layer].resolution, noise);
        }
        if let Some((_, constant)) = graph.inputs.last_mut() {
            constant.values_mut().copy_from_slice(start.values());
        }
        Ok(Self {
            graph,
            w_dim: manifest.w_dim,
            latents,
        })
    }

    /// Makes a picture from `latents · w_dim` style values, \[3, H, W\].
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub fn synthesize(&mut self, styles: &[f32]) -> Result<&[f32], GeneratorError> {
        let graph = &mut self.graph;
        for ((_, shared), w) in graph.inputs.iter_mut().zip(styles.chunks_exact(self.w_dim)) {
            shared.values_mut().copy_from_slice(w);
        }
        graph.run()?;
        Ok(graph.output.values())
    }
}

/// A matrix product, `a` \[n, n\] · `b` \[n, n\] → `c`: the measure of what a machine can do.
pub struct MatrixProduct(BoundGraph);

impl std::fmt::Debug for MatrixProduct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MatrixProduct").finish()
    }
}

impl MatrixProduct {
    /// Loads the graph on the generator's provider.
    ///
    /// # Errors
    /// When ONNX Runtime refuses it.
    pub fn new(
        generator: &Generator,
        runtime: &Runtime,
        onnx: &[u8],
        n: usize,
    ) -> Result<Self, GeneratorError> {
        let inputs = vec![("a".to_owned(), vec![n, n]), ("b".to_owned(), vec![n, n])];
        let mut graph = BoundGraph::new(generator, runtime, onnx, inputs, ("c", vec![n, n]))?;
        for (_, shared) in &mut graph.inputs {
            for (i, value) in shared.values_mut().iter_mut().enumerate() {
                *value = (i % 17) as f32 / 17.0 - 0.5;
            }
        }
        Ok(Self(graph))
    }

    /// Multiplies once: 2·n³ floating-point operations.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub fn run(&mut self) -> Result<(), GeneratorError> {
        self.0.run()
    }
}

/// Runs a graph once, on the CPU: inputs and output with their names and shapes.
///
/// # Errors
/// When ONNX Runtime refuses the graph, or fails.
pub fn evaluate(
    runtime: &Runtime,
    onnx: &[u8],
    inputs: &[(&str, &[usize], &[f32])],
    (output_name, output_dims): (&str, &[usize]),
) -> Result<Vec<f32>, GeneratorError> {
    let failed = |why: String| GeneratorError::Run {
        stage: "a plain graph".to_owned(),
        why,
    };
    let text = |e: ort::Error| failed(e.to_string());
    let mut session = Provider::Cpu
        .session(runtime, onnx, &[], Workload::Once)
        .map_err(failed)?;
    let mut binding = session.create_binding().map_err(text)?;
    let residence = Residence::of(Provider::Cpu);
    // The binding points into them until the run is over.
    let mut bound = Vec::with_capacity(inputs.len());
    for (name, dims, values) in inputs {
        let mut shared = residence.allocate(dims).map_err(text)?;
        shared.values_mut().copy_from_slice(values);
        binding.bind_input(*name, &shared.tensor).map_err(text)?;
        bound.push(shared);
    }
    let mut output = residence.allocate(output_dims).map_err(text)?;
    binding
        .bind_output(output_name, &mut output.tensor)
        .map_err(text)?;
    session.run_binding(&binding).map_err(text)?;
    drop(bound);
    Ok(output.values().to_vec())
}

struct BoundGraph {
    session: Session,
    binding: IoBinding,
    residence: Residence,
    inputs: Vec<(String, Shared)>,
    output: Shared,
}

impl BoundGraph {
    fn new(
        generator: &Generator,
        runtime: &Runtime,
        onnx: &[u8],
        inputs: Vec<(String, Vec<usize>)>,
        (output_name, output_dims): (&str, Vec<usize>),
    ) -> Result<Self, GeneratorError> {
        let provider = generator.provider().provider;
        let residence = Residence::of(provider);
        let failed = |why: String| GeneratorError::Run {
            stage: "one graph".to_owned(),
            why,
        };
        let text = |e: ort::Error| failed(e.to_string());
        let dims = named_dims(generator.manifest().resolution, generator.aspect());
        let session = provider
            .session(runtime, onnx, &dims, Workload::Show)
            .map_err(failed)?;
        let mut binding = session.create_binding().map_err(text)?;
        let mut bound = Vec::with_capacity(inputs.len());
        for (name, dims) in inputs {
            let shared = residence.allocate(&dims).map_err(text)?;
            binding.bind_input(&name, &shared.tensor).map_err(text)?;
            bound.push((name, shared));
        }
        let mut output = residence.allocate(&output_dims).map_err(text)?;
        binding
            .bind_output(output_name, &mut output.tensor)
            .map_err(text)?;
        Ok(Self {
            session,
            binding,
            residence,
            inputs: bound,
            output,
        })
    }

    fn run(&mut self) -> Result<(), GeneratorError> {
        let failed = |e: ort::Error| GeneratorError::Run {
            stage: "one graph".to_owned(),
            why: e.to_string(),
        };
        for (name, shared) in &self.inputs {
            self.residence
                .refresh(&mut self.binding, name, shared)
                .map_err(failed)?;
        }
        self.session.run_binding(&self.binding).map_err(failed)?;
        Ok(())
    }
}

//! The `recluster` thread: clusters of the picture on show, found while the show goes on.
//!
//! It has a low priority and a second copy of the network, loaded when it is first asked, which only
//! its own thread works on; so are trained networks ([`crate::cluster::metric`]), where the model has them. What it finds goes to the loader, which prepares the patch.

use crate::app::metric;
use crate::app::reload::Finds;
use crate::bend::{ClusterFile, ClusterInfo};
use crate::cluster::metric::Learned;
use crate::cluster::{Analysis, Latents, Settings};
use crate::generator::{Generator, Runtime};
use crate::rt::thread;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Instant;
use thread_priority::{ThreadPriority, set_current_thread_priority};

/// Of 100, where 50 is what threads usually have. On Linux a niceness of 9, about an eighth of a
/// usual thread's share of a busy core: the lowest would wait for ever beside a network that takes
/// all it can get.
const PRIORITY: u8 = 25;

/// What is to be grouped.
#[derive(Debug)]
pub(crate) struct Request {
    /// Styles of the picture, `latents · w_dim` values.
    pub(crate) styles: Vec<f32>,
    /// Layers whose clusters are played.
    pub(crate) layers: RangeInclusive<usize>,
}

/// The render thread's end. The thread ends when it is dropped, after what it is doing.
#[derive(Debug)]
pub(crate) struct Recluster(Sender<Request>);

impl Recluster {
    /// Asks for clusters of a picture, and gives a word for the performer. One picture waits at most:
    /// while there is one, another is not taken.
    pub(crate) fn ask(&self, request: Request) -> &'static str {
        match self.0.try_send(request) {
            Ok(()) => "finding clusters of this picture",
            Err(TrySendError::Full(_)) => "still finding clusters",
            Err(TrySendError::Disconnected(_)) => "clusters cannot be found any more",
        }
    }
}

/// Starts the thread.
///
/// # Errors
/// When the system refuses another thread.
pub(crate) fn start(
    folder: PathBuf,
    ort_lib: Option<PathBuf>,
    finds: Finds,
) -> std::io::Result<Recluster> {
    let (asked, requests) = crossbeam_channel::bounded(1);
    // Not joined: it must not hold the end of the show up.
    drop(thread::spawn("recluster", move || {
        work(&folder, ort_lib.as_deref(), &requests, &finds);
    })?);
    Ok(Recluster(asked))
}

fn work(folder: &Path, ort_lib: Option<&Path>, requests: &Receiver<Request>, finds: &Finds) {
    let low = PRIORITY.try_into().map(ThreadPriority::Crossplatform);
    if let Ok(Err(error)) = low.map(set_current_thread_priority) {
        log::warn!("clusters are found at full priority: {error:?}");
    }
    let mut loaded = None;
    while let Ok(request) = requests.recv() {
        let found = find(folder, ort_lib, &mut loaded, request);
        finds.hand_in(found.map_err(|error| crate::app::chain(&error)));
    }
}

/// What is kept from one picture to the next.
struct Loaded {
    generator: Generator,
    learned: Learned,
    layers: RangeInclusive<usize>,
}

impl Loaded {
    fn new(
        folder: &Path,
        ort_lib: Option<&Path>,
        layers: RangeInclusive<usize>,
    ) -> anyhow::Result<Self> {
        let generator = Generator::load_aside(folder, Runtime::load(ort_lib)?)?;
        let kept = metric::kept(None, folder, generator.manifest());
        let (learned, quality) = metric::best(&kept, &layers);
        log::info!("clusters of a picture are of quality {quality}");
        Ok(Self {
            generator,
            learned,
            layers,
        })
    }
}

fn find(
    folder: &Path,
    ort_lib: Option<&Path>,
    loaded: &mut Option<Loaded>,
    request: Request,
) -> anyhow::Result<ClusterFile> {
    let started = Instant::now();
    let Loaded {
        generator,
        learned,
        layers,
    } = match loaded {
        // A saved scene may play other layers.
        Some(found) if found.layers == request.layers => found,
        _ => loaded.insert(Loaded::new(folder, ort_lib, request.layers.clone())?),
    };
    debug_assert_eq!(*layers, request.layers);
    let settings = Settings {
        layers: request.layers.clone(),
        latents: Latents::One(request.styles),
        count: None,
        seed: 0,
        effect_pictures: 1,
    };
    let groups = Analysis::new(generator, learned, settings, None)?.groups(&mut |_| true)?;
    let mut file = ClusterFile::default();
    for (layer, groups) in request.layers.zip(&groups) {
        let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (feature, &group) in groups.iter().enumerate() {
            members.entry(group).or_default().push(feature as u32);
        }
        for (id, features) in members {
            file.insert(layer, id, features, ClusterInfo::default());
        }
    }
    log::info!(
        "clusters of this picture took {:.0} ms",
        1e3 * started.elapsed().as_secs_f64()
    );
    Ok(file)
}

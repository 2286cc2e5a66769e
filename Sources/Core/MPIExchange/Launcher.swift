import Basics
import Optimization
import TensorCore

/// What started this process, as far as its environment tells.
package enum Launcher {
  /// How many processes were started together; 1 where this one was started alone.
  /// - Parameter environment: of the process.
  package static func processCount(_ environment: [String: String]) -> Int {
    // Open MPI's mpirun, MPICH's (and Slurm's by PMI 2), Slurm's by PMIx.
    let counts = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"] + (environment["PMIX_RANK"] == nil ? [] : ["SLURM_NTASKS"])
    return counts.compactMap { environment[$0].flatMap(Int.init) }.first ?? 1
  }

  /// This process's number among those that were started together, 0 where it was started alone.
  package static func rank(_ environment: [String: String]) -> Int {
    ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"].compactMap { environment[$0].flatMap(Int.init) }.first ?? 0
  }

  /// Starts what joins the processes that were started together.
  /// - Parameters:
  ///   - environment: of the process.
  ///   - options: how they exchange what they learn.
  ///   - say: says a failure that this is the process to say.
  /// - Throws: `PipelineError` of kind `.usage` where there are several and this program was built without MPI, and where MPI
  ///   does not start.
  package static func start(
    _ environment: [String: String], options: ExchangeOptions,
    say: @escaping @Sendable (PipelineError) -> Void
  ) throws(PipelineError) -> any JoinedProcesses {
    let count = processCount(environment)
    guard count > 1 else { return SingleProcess() }
    #if MPI
      if !Guardian.isGuarded(environment) { try Guardian.run(environment, say: say) }
      let ranks = environment["DALLE_RANKS_PER_HOST"].flatMap(Int.init)
      let processes = try MPIProcesses(options: options, ranksPerHost: ranks, say: say)
      guard processes.count == count else {
        throw PipelineError(
          .usage,
          "\(count) processes were started together, and MPI joins \(processes.count) of them: start them by Open MPI's mpirun, or by "
            + "srun --mpi=pmix")
      }
      return processes
    #else
      throw PipelineError(
        .usage,
        "\(count) processes were started together, and this program was built without MPI: each would work on its own, into "
          + "one folder; build it with: swift build -c release --traits MPI,OneDNN")
    #endif
  }
}

/// Processes that train together, and end together.
package protocol JoinedProcesses: TrainingProcesses {
  /// Waits for all, and ends what joins them.
  func finish()

  /// Has all processes end, after a failure of this one.
  /// - Parameter say: says it; not called where another process has said why all end, as where they have failed alike.
  func end(_ say: () -> Void)
}

extension SingleProcess: JoinedProcesses {
  package func finish() {}
  package func end(_ say: () -> Void) { say() }
}

/// How processes exchange what they learn.
package struct ExchangeOptions: Sendable, Equatable {
  /// What gradients travel as between machines.
  package var type: ElementType = .float32
  /// Steps that a machine makes on its own between two exchanges with others; 1 exchanges every step.
  package var localSteps = 1

  package init() {}
}

import Basics
import Foundation

/// Debian's espeak-ng, called as a program: text to sound.
public struct SpeechSynthesizer: Sendable {
  /// Samples a second of all its sound.
  public static let sampleRate = 22_050

  private let program: URL

  /// - Throws: `PipelineError` of kind `.noInput` where the program is not there.
  public init() throws(PipelineError) {
    let folders = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":").map(String.init) ?? []
    let paths = folders.map { "\($0)/espeak-ng" }
    guard let path = paths.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
      throw PipelineError(.noInput, "there is no program espeak-ng, which speaks; install Debian's package espeak-ng")
    }
    program = URL(fileURLWithPath: path)
  }

  /// The sound of a text, -1 ... 1, the same for the same arguments.
  /// - Parameters:
  ///   - text: English.
  ///   - voice: a voice and its variant as espeak-ng calls them, such as `en-us+m3`.
  ///   - pitch: 0 ... 99; 50 is the voice's own.
  ///   - rate: words a minute.
  /// - Throws: `PipelineError` of kind `.inputOutput` where the program fails, as with a language that it does not have.
  public func say(_ text: String, voice: String, pitch: Int, rate: Int) throws(PipelineError) -> [Double] {
    let process = Process()
    let output = Pipe()
    process.executableURL = program
    process.arguments = ["-v", voice, "-p", "\(pitch)", "-s", "\(rate)", "--stdout", "--", text]
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    let file: Data?
    do {
      try process.run()
      file = try output.fileHandleForReading.readToEnd()
      process.waitUntilExit()
    } catch {
      throw PipelineError(.inputOutput, "\(program.path) cannot be run: \(error.localizedDescription)")
    }
    guard process.terminationStatus == 0, let file, let samples = Self.samples(inWave: file) else {
      throw PipelineError(.inputOutput, "\(program.path) does not speak with the voice \(voice)")
    }
    return samples
  }

  /// The samples of a WAVE file of 16 bits and one channel at ``sampleRate``, nil where it is none. The sizes in it are those
  /// of a stream whose end was not known, so all that follows the header is sound.
  static func samples(inWave file: Data) -> [Double]? {
    let bytes = [UInt8](file)
    let headerByteCount = 44
    guard bytes.count > headerByteCount, bytes.starts(with: Array("RIFF".utf8)),
      bytes[8..<16].elementsEqual(Array("WAVEfmt ".utf8)), bytes[36..<40].elementsEqual(Array("data".utf8))
    else { return nil }
    func number(_ at: Int, _ count: Int) -> Int { (0..<count).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) } }
    // Pulse code, channels, samples a second, bits.
    guard number(20, 2) == 1, number(22, 2) == 1, number(24, 4) == sampleRate, number(34, 2) == 16 else { return nil }
    return stride(from: headerByteCount, to: bytes.count - 1, by: 2).map { i in
      Double(Int16(bitPattern: UInt16(bytes[i]) | UInt16(bytes[i + 1]) << 8)) / 32768
    }
  }
}

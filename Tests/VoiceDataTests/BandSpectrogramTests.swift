import Foundation
import LinearAlgebra
import TestSupport
import Testing

@testable import VoiceData

@Suite struct BandSpectrogramTests {
  /// The frames and bands of `Tests/Fixtures/make_voice_fixtures.py`.
  @Test func agreesWithSciPy() throws {
    let expected = try JSONDecoder().decode(
      [[Double]].self, from: Data(contentsOf: Fixtures.url("voices/band-spectrogram.json")))
    let samples = (0..<3000).map { i in
      let n = Double(i)
      return 0.5 * sin(0.05 * n) + 0.3 * sin(0.2 * n + 0.0001 * n * n) + 0.01 * cos(1.7 * n)
    }
    let spectrogram = BandSpectrogram(
      [.init(range: 20...220, count: 4, width: 3), .init(range: 100...8000, count: 8)], sampleRate: 22_050)
    let found = spectrogram(samples)
    #expect((found.rows, found.columns) == (8, 12))
    let difference = zip(found.elements, expected.joined()).map { abs($0 - $1) }.max() ?? .infinity
    #expect(found.elements.count == expected.joined().count && difference < 1e-6, "\(difference)")
  }

  /// The sawtooth of the script, which swells between silences.
  @Test func featuresAgreeWithNumPy() throws {
    let expected = try JSONDecoder().decode(
      [[Double]].self, from: Data(contentsOf: Fixtures.url("voices/utterance-features.json")))
    let samples = (0..<20_000).map { i in
      let n = Double(i)
      let swell = max(0, sin(0.0003 * n - 1)) * (1 + 0.9 * sin(0.002 * n))
      let cycles = 0.0073 * n + 0.0000002 * n * n
      return swell * (cycles - cycles.rounded(.down) - 0.5)
    }
    let features = UtteranceFeatures(sampleRate: 22_050)
    let found = try #require(features(samples))
    #expect(found.count == 96 && features.frequencies.count == 96)
    let difference = zip(found, expected.joined()).map { abs($0 - $1) }.max() ?? .infinity
    #expect(expected.joined().count == 96 && difference < 1e-6, "\(difference)")
  }

  @Test func aToneIsLoudestInItsBand() throws {
    let spectrogram = BandSpectrogram([.init(range: 100...8000, count: 40)], sampleRate: 22_050)
    for band in [3, 17, 36] {
      let phase = 2 * Double.pi * spectrogram.frequencies[band] / 22_050
      let row = spectrogram((0..<1024).map { sin(phase * Double($0)) }).row(0)
      #expect(row.indices.max { row[$0] < row[$1] } == band)
    }
  }

  @Test func soundShorterThanAFrameHasNone() {
    let spectrogram = BandSpectrogram([.init(range: 100...8000, count: 40)], sampleRate: 22_050)
    #expect(spectrogram(Array(repeating: 0.1, count: 1023)).rows == 0)
    #expect(UtteranceFeatures(sampleRate: 22_050)(Array(repeating: 0.1, count: 1023)) == nil)
    #expect(UtteranceFeatures(sampleRate: 22_050)(Array(repeating: 0, count: 9000)) == nil)
    // Frames there are here, but not as many as the longer change needs.
    #expect(UtteranceFeatures(sampleRate: 22_050)((0..<4000).map { sin(0.3 * Double($0)) }) == nil)
  }
}

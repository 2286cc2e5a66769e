import ArrayFiles
import Foundation
import TestSupport
import Testing

@testable import Basics
@testable import VoiceData

@Suite struct VoiceDataSetTests {
  /// A setting of the pitch or rate is heard in the sound, and the sound is the same each time.
  @Test func speechFollowsItsSettings() throws {
    let synthesizer = try SpeechSynthesizer()
    let features = UtteranceFeatures(sampleRate: SpeechSynthesizer.sampleRate)
    func say(pitch: Int, rate: Int) throws -> [Double] {
      try synthesizer.say("The tide is out, and the boats are aground.", voice: "en-us+m3", pitch: pitch, rate: rate)
    }
    let slow = try say(pitch: 30, rate: 120)
    #expect(try slow == say(pitch: 30, rate: 120))
    let fast = try say(pitch: 30, rate: 300)
    #expect(Double(slow.count) > 1.5 * Double(fast.count))
    func changes(_ samples: [Double]) throws -> Double { try #require(features(samples)).suffix(40).reduce(0, +) / 40 }
    #expect(try changes(fast) > changes(slow) + 0.3)
    // Below 100 Hz, where the fundamental of low speech alone lies.
    func lowest(pitch: Int) throws -> Double {
      let row = try #require(features(try say(pitch: pitch, rate: 160)))
      return (40..<56).filter { features.frequencies[$0] < 100 }.map { row[$0] }.mean
    }
    #expect(try lowest(pitch: 10) > lowest(pitch: 90) + 1)
  }

  @Test func aVoiceThatIsNotThereIsAnError() throws {
    let synthesizer = try SpeechSynthesizer()
    #expect(throws: PipelineError.self) { try synthesizer.say("No.", voice: "nowhere", pitch: 50, rate: 160) }
  }

  @Test func whatIsNoWaveFileIsNotHeard() {
    #expect(SpeechSynthesizer.samples(inWave: Data()) == nil)
    #expect(SpeechSynthesizer.samples(inWave: Data(repeating: 7, count: 100)) == nil)
    var file = Data("RIFF\0\0\0\0WAVEfmt ".utf8)
    file += [16, 0, 0, 0, 1, 0, 1, 0, 0x22, 0x56, 0, 0, 0x44, 0xAC, 0, 0, 2, 0, 16, 0]
    file += Data("data\0\0\0\0".utf8) + [0, 0x40, 0, 0x80]
    #expect(SpeechSynthesizer.samples(inWave: file) == [0.5, -1])
    // Two channels.
    file[22] = 2
    #expect(SpeechSynthesizer.samples(inWave: file) == nil)
  }

  @Test func noSentenceIsOfTwoSplits() {
    let plan = VoiceDataSet.plan(VoiceDataSet.Settings())
    let heard = (0..<3).map { split in Set(plan.filter { $0.split == split }.flatMap(\.sentences)) }
    #expect(heard.map(\.count) == [44, 8, 8] && heard[0].union(heard[1]).union(heard[2]).count == 60)
    #expect(plan.allSatisfy { $0.sentences.count == 2 && $0.sentences[0] != $0.sentences[1] })
    #expect(plan.count { $0.split == 0 } == 1800 && plan.count { $0.split == 1 } == 300)
    #expect(Set(Sentences.all).count == 60)
  }

  @Test func aSmallSetIsWrittenWithItsAttributes() throws {
    var settings = VoiceDataSet.Settings()
    (settings.utterances, settings.voices) = (8, ["en-us+m3", "en-us+klatt4"])
    let voices = try VoiceDataSet(settings, team: ThreadTeam(count: 2))
    #expect(try voices.rows == VoiceDataSet(settings, team: ThreadTeam(count: 1)).rows)
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "voices.npz")
      try voices.write(to: url)
      #expect(try NumPyFile.matrix(contentsOf: url, array: "rows") == voices.rows)
      let split = try NumPyFile.integers(contentsOf: url, array: "split")
      #expect(split == [2, 1, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0])
      #expect(
        try NumPyFile.integers(contentsOf: url, array: "voice") == Array(repeating: 0, count: 8)
          + Array(repeating: 1, count: 8))
      #expect(try NumPyFile.integers(contentsOf: url, array: "pitch") == voices.utterances.map(\.pitch))
      #expect(try NumPyFile.integers(contentsOf: url, array: "rate") == voices.utterances.map(\.rate))
      #expect(try NumPyFile.matrix(contentsOf: url, array: "sentence").columns == 2)
      // A column is as it was heard once mean and deviation are put back, and of the training rows standardised.
      let train = split.indices.filter { split[$0] == 0 }
      for d in [0, 45, 95] {
        #expect(abs(train.map { voices.rows[$0, d] }.mean) < 1e-9)
        #expect(abs(train.map { voices.rows[$0, d] * voices.rows[$0, d] }.mean - 1) < 1e-9)
      }
      #expect(voices.mean.count == 96 && voices.frequencies.count == 96)
    }
  }

  @Test func settingsThatMakeNoSense() throws {
    let team = try ThreadTeam(count: 1)
    var settings = VoiceDataSet.Settings()
    settings.utterances = 7
    #expect(throws: PipelineError.self) { try VoiceDataSet(settings, team: team) }
    (settings.utterances, settings.voices) = (8, [])
    #expect(throws: PipelineError.self) { try VoiceDataSet(settings, team: team) }
  }
}

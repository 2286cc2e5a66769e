@testable import Captions
@testable import Captions
import Foundation
import PipelineTestSupport
import TestSupport
import Testing

@testable import Basics
@testable import Checkpoints
@testable import Datasets
@testable import Generation
@testable import Training

/// What training runs take from WordNet.
@Suite struct SynonymRunTests {
  /// Pictures of a rhinoceros, a polar bear and a bird with a WordNet, and a tokenizer.
  private func folder(hasWordNet: Bool = true) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.writeData()
    try folder.writeNames(["a rhinoceros", "a polar bear", "a bird"])
    if hasWordNet { try WordNetFiles.animals.write(to: folder.wordNet) }
    try Tiny.trainTokenizer(folder, Tiny.settings(steps: 2))
    return folder
  }

  private func settings(steps: Int) -> TrainingSettings {
    var settings = Tiny.settings(steps: steps)
    settings.captionForms = nil
    return settings
  }

  @Test func aPriorIsToldWhichNounsAreNear() throws {
    let folder = try folder()
    try Tiny.trainPrior(folder, Tiny.settings(steps: 2))
    let text = String(decoding: try folder.contents(folder.checkpoint.nounsFile), as: UTF8.self)
    #expect(text.hasPrefix("# 1 This is a small database for tests.\n"))
    #expect(text.contains("\ntapir\trhinoceros\tungulate\n") && text.contains("\nice bear\tpolar bear\t\n"))
    // What occurs is not there.
    #expect(!text.contains("\nbear\t") && !text.contains("\nrhinoceros\t") && !text.contains("\nmitten\t"))
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    let prompt = try model.replacingUnseenNouns(in: "two tapirs and an idea")
    #expect(prompt.text == "two rhinoceroses and an idea")
    #expect(prompt.replacements == [.init(noun: "tapirs", replacement: "rhinoceroses", ancestor: "ungulate")])
    #expect(try model.replacingUnseenNouns(in: "a bird") == ReplacedPrompt(text: "a bird"))
    // The option decides what the model is given.
    let replacing = GenerationOptions(seed: 3, replacesUnseenNouns: true)
    let known = try model.generate("a rhinoceros", count: 3, options: .init(seed: 3))
    #expect(try model.generate("a tapir", count: 3, options: replacing) == known)
    #expect(try model.generate("a rhinoceros", count: 3, options: replacing) == known)
    #expect(try model.text(of: "a tapir", .init()) == "a tapir")
    let session = model.makeSession()
    try session.join("a tapir", options: replacing)
    var last: PictureSession.Step?
    while !session.isEmpty { last = session.next().last ?? last }
    #expect(try session.picture(#require(last)) == known[0])
  }

  @Test func aRankerJudgesByTheReplacedPrompt() throws {
    let folder = try folder()
    try Tiny.trainPrior(folder, Tiny.settings(steps: 2))
    try Tiny.trainRanker(folder, Tiny.settings(steps: 2))
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    func scores(_ prompt: String) throws -> [Float] {
      let options = GenerationOptions(seed: 3, replacesUnseenNouns: true)
      return try model.generateRanked(captions: [prompt], count: 3, candidates: 3, options: options)[0].map(\.score)
    }
    #expect(try scores("a tapir") == scores("a rhinoceros"))
  }

  @Test func withoutWordNetARunDoesWithout() throws {
    let folder = try folder(hasWordNet: false)
    let recorder = Recorder()
    try Tiny.trainPrior(folder, settings(steps: 2), observer: recorder.observer)
    let notes = recorder.notes.filter { $0.contains("there is no WordNet in ") }
    #expect(notes.count == 1 && notes[0].contains("without synonyms, and nouns that they do not have"))
    let trained = try folder.checkpoint.readConfiguration().priorTraining?.settings.captionForms
    #expect(trained?.contains(.synonyms) == false && trained?.count == CaptionForms.Kind.allCases.count - 1)
    #expect(!folder.checkpoint.exists(folder.checkpoint.nounsFile))
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    #expect(try model.replacingUnseenNouns(in: "a tapir") == ReplacedPrompt(text: "a tapir"))
  }

  /// The nouns belong to the prior: they go where it goes.
  @Test func theNounsOfAnEarlierPriorAreSetAside() throws {
    let folder = try folder()
    try Tiny.trainPrior(folder, Tiny.settings(steps: 2))
    let nouns = try folder.contents(folder.checkpoint.nounsFile)
    try FileManager.default.removeItem(at: folder.wordNet)
    try Tiny.trainPrior(folder, Tiny.settings(steps: 1))
    #expect(!folder.checkpoint.exists(folder.checkpoint.nounsFile))
    #expect(try folder.contents(Checkpoint(folder.checkpoint.previousFolder).nounsFile) == nouns)
  }

  @Test func aResumedRunReadsTheSameSynonyms() throws {
    let (whole, parts) = (try folder(), try folder())
    try Tiny.trainPrior(whole, settings(steps: 8))
    try Tiny.trainPrior(parts, settings(steps: 8), observer: Recorder(stopAfter: 3).observer)
    #expect(try parts.checkpoint.readConfiguration().captionWords?.contains("rhino ") ?? false)
    // Without WordNet it would read other captions.
    let aside = parts.url.appendingPathComponent("aside")
    try FileManager.default.moveItem(at: parts.wordNet, to: aside)
    let error = #expect(throws: PipelineError.self) { try Tiny.trainPrior(parts, settings(steps: 8), resume: true) }
    #expect(error?.kind == .noInput && error?.message.contains("install Debian's wordnet-base") ?? false)
    try FileManager.default.moveItem(at: aside, to: parts.wordNet)
    try Tiny.trainPrior(parts, settings(steps: 8), resume: true)
    #expect(try whole.contents(whole.checkpoint.priorFile) == parts.contents(parts.checkpoint.priorFile))
    #expect(try whole.contents(whole.checkpoint.nounsFile) == parts.contents(parts.checkpoint.nounsFile))
  }

  @Test func aDamagedWordNetOrListIsNamed() throws {
    let folder = try folder()
    try Tiny.trainPrior(folder, Tiny.settings(steps: 2))
    try folder.write("x\n", to: "checkpoint/nouns.txt")
    let model = try TextToImageModel(contentsOf: folder.checkpoint.url)
    let list = #expect(throws: PipelineError.self) { try model.replacingUnseenNouns(in: "a tapir") }
    #expect(list?.kind == .badData && list?.message.contains("nouns.txt is damaged") ?? false)
    #expect(try model.replacingUnseenNouns(in: "a bird").text == "a bird")
    try folder.write("x\n", to: "wordnet/data.noun")
    let error = #expect(throws: PipelineError.self) { try Tiny.trainPrior(folder, Tiny.settings(steps: 1)) }
    #expect(error?.kind == .badData && error?.message.contains("data.noun line 1") ?? false)
  }
}

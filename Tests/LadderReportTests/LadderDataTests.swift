import Foundation
import Imaging
import LinearAlgebra
import PipelineTestSupport
import TestSupport
import Testing

@testable import Basics
@testable import LadderReport

@Suite struct LadderDataTests {
  @Test func picturesBecomeRowsAndBack() throws {
    let folder = try TemporaryFolder()
    try folder.writeData(count: 8, splits: [.train, .train, .validation, .test])
    let dataSet = try folder.dataSet()
    let data = try LadderData(dataSet)
    #expect(data.side == 16 && data.dimensions == 16 * 16 * 3 && data.rows.rows == 8)
    #expect(data.rows.elements.allSatisfy { (0..<1).contains($0) })
    let pictures = data.rows.pictures(side: 16)
    for index in 0..<8 { #expect(pictures[index] == (try dataSet.picture(at: index))) }
    // The noise is there, and the same each time.
    #expect(Set(data.rows.row(0).map { ($0 * 256).truncatingRemainder(dividingBy: 1) }).count > 100)
    #expect(try LadderData(dataSet).rows == data.rows)
    #expect(data.indices(of: .train).count == 4 && data.indices(of: .heldOut).count == 4)
    #expect(try data.matrix(of: .validation).rows == 2 && data.matrix(of: .all).rows == 8)
    #expect(data.captions[0] == dataSet.entries[0].captions[0])
  }

  @Test func aMatrixIsHeldOutByTheTenth() throws {
    let data = try LadderData(Matrix((0..<100).map(Double.init), rows: 50, columns: 2), name: "x.npy")
    #expect(data.side == nil && data.indices(of: .heldOut).count == 5 && data.indices(of: .train).count == 45)
    #expect(try data.matrix(of: .all) == data.rows)
    #expect(throws: PipelineError.self) { try data.matrix(of: .validation) }
  }

  @Test func aMatrixMayHaveSplitsOfItsOwn() throws {
    let matrix = Matrix((0..<8).map(Double.init), rows: 4, columns: 2)
    let data = try LadderData(matrix, name: "x.npz", splits: [2, 0, 1, 0])
    #expect(data.areSplitsGiven && data.splits == [.test, .train, .validation, .train])
    #expect(try data.matrix(of: .train).elements == [2, 3, 6, 7])
    #expect(try !LadderData(matrix, name: "x.npz").areSplitsGiven)
    for splits in [[0, 0, 1], [0, 1, 2, 3], [0, 1, 2, -1]] {
      #expect(throws: PipelineError.self) { try LadderData(matrix, name: "x.npz", splits: splits) }
    }
  }

  @Test func numbersThatAreNotFiniteAreNamed() throws {
    for bad in [Double.nan, .infinity, -.infinity] {
      var matrix = Matrix(repeating: 1, rows: 5, columns: 3)
      matrix[3, 2] = bad
      do {
        _ = try LadderData(matrix, name: "x.npy")
        Issue.record("\(bad) passed")
      } catch {
        #expect(error.kind == .badData && error.message.contains("row 3, column 2"), "\(error)")
      }
    }
    #expect(throws: PipelineError.self) { try LadderData(Matrix(repeating: 0, rows: 0, columns: 3), name: "x") }
    #expect(throws: PipelineError.self) { try LadderData(Matrix(repeating: 0, rows: 3, columns: 0), name: "x") }
  }

  @Test func bitsPerDimension() {
    // The uniform density over [0, 1)ᴰ is what needs all 8 bits; twice as dense everywhere is one bit less.
    #expect(LadderData.bitsPerDimension(meanLogLikelihood: 0, dimensions: 12) == 8)
    #expect(abs(LadderData.bitsPerDimension(meanLogLikelihood: 12 * log(2), dimensions: 12) - 7) < 1e-12)
  }
}

@Suite struct RowPicturesTests {
  @Test func aMatrixIsTakenForGreyPictures() throws {
    let rows = Matrix((0..<2 * 64).map { Double($0 % 64) / 64 }, rows: 2, columns: 64)
    let shown = try #require(try LadderData(rows, name: "x.npy").pictures)
    #expect(shown.side == 8 && shown.white == 1)
    let picture = shown(rows)[1]
    #expect(picture.width == 8 && Array(picture.pixels[0..<6]) == [0, 0, 0, 4, 4, 4])
    #expect(Array(picture.pixels.suffix(3)) == [251, 251, 251])
    let bytes = Matrix(rows.elements.map { ($0 * 255).rounded() }, rows: 2, columns: 64)
    let alike = try #require(RowPictures(greyRows: bytes))
    #expect(alike.white == 255 && alike(bytes)[1] == picture)
    // What a model draws may lie beyond; what a picture holds is shown.
    let draws = Matrix(rows.elements.map { 1.4 * $0 - 0.2 }, rows: 2, columns: 64)
    let drawn = try #require(RowPictures(greyDraws: draws))
    #expect(drawn.white == 1 && Array(drawn(draws)[0].pixels.suffix(3)) == [255, 255, 255])
    #expect(RowPictures(greyDraws: bytes)?.white == 255)
    // As scikit-learn's digits are.
    let few = Matrix(rows.elements.map { ($0 * 16).rounded() }, rows: 2, columns: 64)
    #expect(RowPictures(greyRows: few)?.white == 16)
    #expect(RowPictures(greyDraws: Matrix(few.elements.map { 1.2 * $0 - 1 }, rows: 2, columns: 64))?.white == 16)
  }

  @Test func otherMatricesArePoints() throws {
    for (columns, value) in [(49, 0.5), (65 * 65, 0.5), (65, 0.5), (64, -0.1), (64, 256)] {
      #expect(RowPictures(greyRows: Matrix(repeating: value, rows: 2, columns: columns)) == nil, "\(columns), \(value)")
    }
  }
}
